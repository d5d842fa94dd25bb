"""Checks before a word leaves: what a pitch and its claims must pass, each failure with a code and a reason.

Deterministic, over the pitch as the model wrote it, slots unfilled: at that point every fact must still be a slot, so a
digit, a name or a link can only be the model's own.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from services.scoring.domain.answer import Claim
from services.scoring.domain.policy import PitchPolicy
from services.scoring.domain.profile import ACCOUNT_NAME_SLOT, PITCH_SLOTS, AccountProfile, can_claim
from services.scoring.domain.render import SLOT, render_pitch, render_value


@dataclass(frozen=True)
class Finding:
    """Why an answer was refused. `reason` is English, tells the model what to change, and never quotes its answer."""

    code: str
    reason: str


_LINK = re.compile(r"https?:|ftp:|www\.|://|\b[a-z0-9-]+\.(com|net|org|io|ai|co|de|eu|ru|info|biz|app|dev|xyz)\b", re.I)
_EMAIL = re.compile(r"@|\(at\)|\[at\]|\bmailto\b", re.I)
_MARKUP = re.compile(r"[<>]|&[a-z]+;|&#|\]\(|```|\*\*|^#", re.I)
_CONTROL_TOKEN = re.compile(r"<\||\|>|\[/?INST\]|<<SYS>>|</?s>|\b(system|assistant|user)\s*:", re.I)
_SENTENCE_END = re.compile(r"[.!?:]\s+|^\s*|[\"“(]\s*")
_WORD = re.compile(r"[A-Za-z][A-Za-z'’-]*")
_AFTER_NAME = re.compile(r"\{account_name\}(?:['’]s)?,?\s+([a-z'’-]+)")
_REPEATED = re.compile(r"\b((?:[\w{}]+[\s,]+){4}[\w{}]+)\b.*\b\1\b")
_SLOT_IN_PLACE = re.compile(
    r"(?:(?P<before>[A-Za-z'’-]+|\{[a-z0-9_]+\}),?[ ])?\{(?P<name>[a-z0-9_]+)\}(?=(?:[ -](?P<after>[A-Za-z]+))?)"
)
_TYPOGRAPHIC = set("‘’“”–—…")


def check_claims(claims: Iterable[Claim], profile: AccountProfile) -> list[Finding]:
    """One finding per claim whose polarity the data contradicts."""
    return [
        Finding("claim-contradicts-data", f"claims: {claim.field} is not {claim.polarity} for this account.")
        for claim in claims
        if not can_claim(profile, claim.field, claim.polarity)
    ]


def check_pitch(template: str, profile: AccountProfile, policy: PitchPolicy) -> list[Finding]:
    """Every rule that the unfilled pitch breaks; none means that `render_pitch` gives a text that may leave."""
    slots = _check_slots(template, profile)
    bare = SLOT.sub("slot_value", template)
    findings = [
        *slots,
        *_check_form(SLOT.sub(" ", template)),
        *_check_words(SLOT.sub(" , ", template), profile, policy),
    ]
    findings += [*_check_names(bare, policy), *_check_sentences(template, policy)]
    length = len(template) if slots else len(render_pitch(template, profile))
    if not policy.min_chars <= length <= policy.max_chars:
        findings.append(Finding("pitch-length", f"pitch: {policy.min_chars} to {policy.max_chars} characters."))
    return findings


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


def _check_words(text: str, profile: AccountProfile, policy: PitchPolicy) -> Iterator[Finding]:
    """Words that say more, or something else, than the data does."""
    if _phrases(tuple(policy.number_words)).search(text):
        yield Finding("number-word", "pitch: no numbers in words; write a fact as its slot.")
    if banned := _phrases(tuple(policy.banned_phrases)).search(text):
        yield Finding("banned-phrase", f"pitch: do not say '{banned.group().lower()}'.")
    for field, denials in policy.denials.items():
        if profile.values.get(field) and _phrases(tuple(denials)).search(text):
            yield Finding("pitch-contradicts-data", f"pitch: it says something about {field} the data does not.")
    for field, owners in policy.exclusive_words.items():
        foreign = [word for value, words in owners.items() if value != profile.values.get(field) for word in words]
        if foreign and _phrases(tuple(foreign)).search(text):
            yield Finding(
                "pitch-contradicts-data", f"pitch: it names another {field} than the account's; use the slot."
            )


def _check_sentences(template: str, policy: PitchPolicy) -> Iterator[Finding]:
    """Whole sentences, each said once, that claim nothing about the account without a fact's slot."""
    sentences = [part.strip().lower() for part in re.split(r"(?<=[.!?])\s+", template.strip()) if part.strip()]
    if not template.rstrip().endswith((".", "!", "?")):
        yield Finding("unfinished", "pitch: end with a whole sentence.")
    if len(set(sentences)) < len(sentences) or _REPEATED.search(template.lower()):
        yield Finding("repetition", "pitch: say everything once.")
    for sentence in sentences:
        has_fact = any(name != ACCOUNT_NAME_SLOT for name in SLOT.findall(sentence))
        for word in _AFTER_NAME.findall(sentence):
            if policy.account_words.get(word, True) and not (word in policy.account_words and has_fact):
                yield Finding("unsupported-statement", "pitch: say nothing about {account_name} that no slot shows.")
    for match in _SLOT_IN_PLACE.finditer(template):
        before, name, after = match["before"] or "^", match["name"], (match["after"] or "").lower()
        place = policy.slot_contexts.get(name)
        if place and before.lower() not in place.after and after not in place.before:
            yield Finding("misplaced-slot", f"pitch: {{{name}}} makes no sense where it stands.")


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


@lru_cache(maxsize=256)
def _phrases(phrases: tuple[str, ...]) -> re.Pattern[str]:
    longest_first = sorted(phrases, key=len, reverse=True)
    return re.compile(rf"(?<![\w-])(?:{'|'.join(re.escape(phrase) for phrase in longest_first)})(?![\w-])", re.I)
