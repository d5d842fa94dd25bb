"""Checks before a word leaves: what a pitch and its claims must pass, each failure with a code and a reason.

Deterministic, over the pitch as the model wrote it, slots unfilled: at that point every fact must still be a slot, so a
digit, a name or a link can only be the model's own. docs/pitch-firewall.md lists the codes.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache

from services.scoring.domain.answer import Claim
from services.scoring.domain.findings import Finding
from services.scoring.domain.policy import PitchPolicy
from services.scoring.domain.profile import PITCH_SLOTS, AccountProfile, Polarity, can_claim
from services.scoring.domain.references import EVIDENCED, check_references
from services.scoring.domain.render import SLOT, render_pitch, render_value
from services.scoring.domain.statements import check_statements
from services.scoring.domain.tokens import to_sentences

_LINK = re.compile(
    r"https?:|ftp:|www\b|://"
    r"|\b[a-z0-9-]+\s?(\.|\bdot\b)\s?(com|net|org|io|ai|co|de|eu|ru|info|biz|app|dev|xyz|example)\b",
    re.I,
)
_EMAIL = re.compile(r"@|[(\[{]\s?at\s?[)\]}]|\bmailto\b", re.I)
_MARKUP = re.compile(r"[<>]|&[a-z]+;|&#|%[0-9a-f]{2}|\\[ux]|\]\(|```|\*\*|^#", re.I)
_CONTROL_TOKEN = re.compile(r"<\s?\||\|\s?>|\[/?INST\]|<<SYS>>|</?s>|\b(system|assistant|user|human)\s*:", re.I)
_THANKING = re.compile(r"(thank|for)\b|thanks\b", re.I)
_SENTENCE_END = re.compile(r"[.!?:]\s+|^\s*|[\"“(]\s*")
_WORD = re.compile(r"[A-Za-z][A-Za-z'’-]*")
_REPEATED = re.compile(r"\b((?:[\w{}]+[\s,]+){4}[\w{}]+)\b.*\b\1\b")
_ODD_MARKS = re.compile(r"[^\w\s{}'’\"“”(),.;:!?&–—…-]|(?:[-.!?,;:–—…]\s*){2,}")
_TYPOGRAPHIC = set("‘’“”–—…")
_OTHER_LANGUAGE_WORDS, _OTHER_LANGUAGE_SHARE = 4, 0.5


def check_claims(claims: Iterable[Claim], profile: AccountProfile) -> list[Finding]:
    """One finding per claim whose polarity the data contradicts, or that contradicts one before it."""
    findings, said = [], dict[str, Polarity]()
    for claim in claims:
        if not can_claim(profile, claim.field, claim.polarity):
            reason = f"claims: {claim.field} is not {claim.polarity} for this account."
            findings.append(Finding("claim-contradicts-data", reason))
        elif said.setdefault(claim.field, claim.polarity) != claim.polarity:
            findings.append(Finding("claim-contradicts-data", f"claims: {claim.field} once, with one polarity."))
    return findings


def supported_claims(claims: Iterable[Claim], profile: AccountProfile) -> list[Claim]:
    """The claims that the data bears out, one for each field: the first."""
    kept: dict[str, Claim] = {}
    for claim in claims:
        if can_claim(profile, claim.field, claim.polarity):
            kept.setdefault(claim.field, claim)
    return list(kept.values())


def check_pitch(template: str, profile: AccountProfile, policy: PitchPolicy) -> list[Finding]:
    """Every rule that the unfilled pitch breaks; none means that `render_pitch` gives a text that may leave."""
    slots = _check_slots(template, profile)
    findings = [
        *slots,
        *_check_form(SLOT.sub(" ", template)),
        *_check_marks(SLOT.sub("x", template)),
        *_check_words(SLOT.sub(" , ", template), profile, policy),
        *_check_names(SLOT.sub("slot_value", template), policy),
        *_check_sentences(template),
        *_check_evidence(template, profile, policy),
    ]
    plain = _without_evidenced(template, profile, policy)
    findings += _check_vocabulary(SLOT.sub(" ", plain), policy)
    for sentence in to_sentences(plain):
        findings += check_statements(sentence, profile, policy)
    findings += check_references(to_sentences(plain), policy)
    length = len(template) if slots else len(render_pitch(template, profile))
    if not policy.min_chars <= length <= policy.max_chars:
        findings.append(Finding("pitch-length", f"pitch: {policy.min_chars} to {policy.max_chars} characters."))
    return list(dict.fromkeys(findings))


def _check_slots(template: str, profile: AccountProfile) -> list[Finding]:
    findings = []
    for name in dict.fromkeys(SLOT.findall(template)):
        if name not in PITCH_SLOTS:
            findings.append(Finding("unknown-slot", f"pitch: use only the slots {', '.join(PITCH_SLOTS)}."))
        elif render_value(profile, name) is None or profile.values.get(name) == 0:
            findings.append(Finding("empty-slot", f"pitch: the account has no {name}, leave {{{name}}} out."))
    if re.search(r"[{}]", SLOT.sub("", template)):
        findings.append(
            Finding("malformed-slot", "pitch: a slot is written {field_name}, and braces serve nothing else.")
        )
    return findings


def _check_form(text: str) -> Iterator[Finding]:
    """Characters and shapes, whatever the words."""
    if any(unicodedata.category(char).startswith("N") for char in text):
        yield Finding("digit", "pitch: no digits; write a fact as its slot.")
    if any(not (char.isascii() and char.isprintable()) and char not in _TYPOGRAPHIC for char in text):
        yield Finding("odd-character", "pitch: plain English letters only, on one line.")
    if _LINK.search(text):
        yield Finding("link", "pitch: no link.")
    if _EMAIL.search(text):
        yield Finding("email", "pitch: no e-mail address.")
    if _MARKUP.search(text):
        yield Finding("markup", "pitch: no HTML or Markdown.")
    if _CONTROL_TOKEN.search(text):
        yield Finding("control-token", "pitch: no control tokens.")
    if "_" in text:
        yield Finding("field-name", "pitch: write a field as its {slot}, not by its name.")


def _check_marks(text: str) -> Iterator[Finding]:
    if _ODD_MARKS.search(text.replace("...", "…")):
        yield Finding("odd-character", "pitch: plain punctuation only, one mark at a time.")


def _check_words(text: str, profile: AccountProfile, policy: PitchPolicy) -> Iterator[Finding]:
    """Words that say more, or something else, than the data does."""
    if _phrases(tuple(policy.number_words)).search(text):
        yield Finding("number-word", "pitch: no numbers in words; write a fact as its slot.")
    if banned := _phrases(tuple(policy.banned_phrases)).search(text):
        yield Finding("banned-phrase", f"pitch: do not say '{banned.group().lower()}'.")
    if _phrases(tuple(policy.competitors)).search(text):
        yield Finding("competitor", "pitch: name no other seller of fleet software.")
    for field, denials in policy.denials.items():
        if profile.values.get(field) and _phrases(tuple(denials)).search(text):
            yield Finding("pitch-contradicts-data", f"pitch: it says something about {field} the data does not.")
    for field, owners in policy.exclusive_words.items():
        foreign = [word for value, words in owners.items() if value != profile.values.get(field) for word in words]
        if foreign and _phrases(tuple(foreign)).search(text):
            yield Finding(
                "pitch-contradicts-data", f"pitch: it names another {field} than the account's; use the slot."
            )


def _check_sentences(template: str) -> Iterator[Finding]:
    """Whole sentences, each said once."""
    sentences = [part.strip().lower() for part in to_sentences(template) if part.strip()]
    if not template.rstrip().endswith((".", "!", "?")):
        yield Finding("unfinished", "pitch: end with a whole sentence.")
    if len(set(sentences)) < len(sentences) or _REPEATED.search(template.lower()):
        yield Finding("repetition", "pitch: say everything once.")


def _check_names(text: str, policy: PitchPolicy) -> Iterator[Finding]:
    """A capitalised word inside a sentence is a name, unless the policy knows it; so is a company suffix."""
    if _phrases(tuple(policy.company_suffixes)).search(text):
        yield Finding("company-name", "pitch: no company names; write {account_name}.")
        return
    starts = {match.end() for match in _SENTENCE_END.finditer(text)}
    for match in _WORD.finditer(text):
        if match.start() not in starts and match.group()[0].isupper() and match.group() not in policy.known_names:
            yield Finding("company-name", "pitch: no names and no capitals inside a sentence; write {account_name}.")
            return


def _check_evidence(template: str, profile: AccountProfile, policy: PitchPolicy) -> Iterator[Finding]:
    """What is said of the account's visits and dealings with us needs a field that shows them."""
    for field, phrases in policy.evidenced_phrases.items():
        found = list(_phrases(tuple(phrases)).finditer(template))
        if found and not can_claim(profile, field, "positive"):
            yield Finding("unsupported-statement", f"pitch: {field} does not show what it says of the account.")
        if any(not _ends_there(match, template) for match in found):
            yield Finding("unsupported-statement", f"pitch: say no more on {field} than that.")


def _ends_there(phrase: re.Match[str], template: str) -> bool:
    """Whether the phrase is all that is said: "thanks for your visit to our depot" is another visit."""
    marks = ".!" if _THANKING.match(phrase.group()) else ",.!?"
    return template[phrase.end() : phrase.end() + 1] in tuple(marks)


def _without_evidenced(template: str, profile: AccountProfile, policy: PitchPolicy) -> str:
    """The pitch without what `_check_evidence` has judged."""
    for field, phrases in policy.evidenced_phrases.items():
        if can_claim(profile, field, "positive"):
            template = _phrases(tuple(phrases)).sub(EVIDENCED, template)
    return template


def _check_vocabulary(text: str, policy: PitchPolicy) -> Iterator[Finding]:
    """Nothing can be said that the policy has no words for: a name, a language, a code, a fact that no field holds."""
    words = [match.group().lower().replace("’", "'") for match in _WORD.finditer(text)]
    unknown = [word for word in words if not _is_known(word, policy)]
    if len(unknown) >= _OTHER_LANGUAGE_WORDS and len(unknown) >= len(words) * _OTHER_LANGUAGE_SHARE:
        yield Finding("language", "pitch: plain English.")
    elif unknown:
        yield Finding("unknown-word", "pitch: only plain words about planning, routes, drivers, service and fuel.")


def _is_known(word: str, policy: PitchPolicy) -> bool:
    bare = word.rstrip("'-")
    parts = [bare, bare.removesuffix("'s")]
    if any(part in policy.vocabulary for part in parts):
        return True
    return "-" in bare and all(part in policy.vocabulary for part in bare.split("-"))


@lru_cache(maxsize=256)
def _phrases(phrases: tuple[str, ...]) -> re.Pattern[str]:
    longest_first = sorted(phrases, key=len, reverse=True)
    return re.compile(rf"(?<![\w-])(?:{'|'.join(re.escape(phrase) for phrase in longest_first)})(?![\w-])", re.I)
