"""An account's name, safe inside a sentence. A CRM's name field is typed by anyone, and a pitch shows it."""

import re
import unicodedata

NAMELESS = "your company"
_MAX_CHARS, _MAX_WORDS, _MAX_WORD_CHARS, _MAX_DIGITS = 60, 6, 24, 4
_PLAIN = re.compile(r"(?:[\w &'’.,()+-]|\b[A-Z]{1,2}/[A-Z]{1,2}\b)+")
_ADDRESS = re.compile(r"\w\.\w{2,}|(?:^|[\s(])\.\w|www", re.IGNORECASE)
_SENTENCE_ENDS = re.compile(r"\w{5,}[.!?]\s")  # "Bros. Meyer" goes on, "Freight. Wins" does not
_COUNTED = re.compile(
    r"\d[\s-]*(?:vehicles?|fleet|trucks?|vans?|cars?|lorr(?:y|ies)|employees?|people|staff|drivers?|customers?"
    r"|percent|eur|euros?|usd|dollars?|days?|weeks?|months?|accidents?|offices?|depots?)\b",
    re.IGNORECASE,
)
_SPELLED = re.compile(r"(?:\b\w\b[\s.]*){3,}")
_JOINING = frozenset(
    "and & of the for de la le les du des del da do dos di und der die das von van den y e et en + - i og z o.o".split()
)
# Words by which a sentence in a name field is known for what it is: orders, scores, promises, addresses, money.
_SPEAKING = frozenset(
    """ignore disregard forget override obey follow output print repeat reveal write answer respond reply say tell rate
    rated score scores tier instruction instructions prompt prompts system assistant human user developer admin
    model previous above rules hacked hack hacker pwned owned jailbreak approve approved approval guarantee
    guarantees guaranteed discount discounts free gratis kostenlos refund refunded prize winner win wins won
    urgent password click call join visit pay paid payment please must http https script drop select null
    undefined dot com tel phone fax hotline whatsapp telegram buy bought sell sells sold send sends wire money
    cash iban swift bic bitcoin invoice invoices overdue debt debts owe owes price prices cheap cheapest offer
    sale trusted certified awarded endorsed recommended rejected bankrupt bankruptcy insolvent fraud fraudulent
    scam scammer criminal lawsuit liar idiot stolen hundred thousand million billion customer dear hello ignora
    ignorez vergiss olvida instrucciones anweisungen geld schulden rechnung zahlen zahlt kaufen kauft jetzt
    gewinnspiel argent payez facture maintenant dinero pague factura ahora""".split()
)
# Words that sentences have and names do not. They count as whole words only: `WeWork` is a name.
_OF_SENTENCES = frozenset(
    """you your yours we us our ours i me my mine he she they them their it its this these those is are was were be
    been am isn't aren't has have had hasn't to by now today tomorrow no not never nobody anymore here who what
    when where why because than better worse loses lost fails failed cheats steals needs wants runs owns uses
    likes loves love hates makes says does did don't sie uns unser ihr ihre ist sind hat haben nicht kein vous
    nous votre notre sont nuestro vuestro""".split()
)
_ABBREVIATIONS = frozenset(("IT", "US"))  # "US Foods", in a name that isn't all capitals
_APART = re.compile(r"[\W\d_]+")
_HUMP = re.compile(r"(?<=[a-zà-ÿ])(?=[A-ZÀ-Þ])")


def to_display_name(name: str) -> str:
    """The name as a pitch shows it; "your company" for one that could be more than a name.

    More than a name: markup, an address, a number to call, characters that can't be seen or look like others, other
    letters than Latin ones (the pitch is English), a sentence, an order, a count. Some real names are lost
    that way, which costs a pitch its personal touch and nothing else.
    """
    plain = unicodedata.normalize("NFC", " ".join(name.split()))
    return plain if _is_name(plain) else NAMELESS


def _is_name(plain: str) -> bool:
    words = plain.split()
    if not 0 < len(plain) <= _MAX_CHARS or len(words) > _MAX_WORDS or max(map(len, words)) > _MAX_WORD_CHARS:
        return False
    if not _PLAIN.fullmatch(plain) or "_" in plain or unicodedata.normalize("NFKC", plain) != plain:
        return False
    if not all(_is_latin(char) for char in plain) or sum(char.isdigit() for char in plain) > _MAX_DIGITS:
        return False
    if _ADDRESS.search(plain) or _SPELLED.search(plain):
        return False
    if _SENTENCE_ENDS.search(plain) or _COUNTED.search(plain) or _speaks(plain):
        return False
    return all(_starts_a_name(word) for word in words)


def _speaks(plain: str) -> bool:
    """Whether words in it are a sentence's or an order's, also behind `&`, `-`, a figure or a hump ("Free2Win")."""
    words = [word.strip("().,'’-+&") for word in plain.split()]
    if not plain.isupper():
        words = [word for word in words if word not in _ABBREVIATIONS]
    whole = {part.lower() for word in words for part in re.split(r"[&/+-]", word.replace("’", "'"))}
    parts = {part.lower() for word in words for part in _APART.split(_HUMP.sub(" ", word))}
    return not _SPEAKING.isdisjoint(parts) or not _OF_SENTENCES.isdisjoint(whole)


def _starts_a_name(word: str) -> bool:
    """Names are written with capitals or figures; `eBay` is one, a word of a sentence is none."""
    return word.lower().rstrip(".") in _JOINING or any(char.isupper() or char.isdigit() for char in word)


def _is_latin(char: str) -> bool:
    return not char.isalpha() or unicodedata.name(char, "").startswith("LATIN ")
