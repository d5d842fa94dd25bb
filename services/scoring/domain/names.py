"""An account's name, safe inside a sentence. A CRM's name field is typed by anyone, and a pitch shows it."""

import re
import unicodedata

NAMELESS = "your company"
_MAX_CHARS, _MAX_WORDS, _MAX_WORD_CHARS, _MAX_DIGITS = 60, 6, 24, 4
_PLAIN = re.compile(r"(?:[\w &'’.,()+-]|\b[A-Z]{1,2}/[A-Z]{1,2}\b)+")
_ADDRESS = re.compile(r"\w\.\w{2,}|www", re.IGNORECASE)
_SPELLED = re.compile(r"(?:\b\w\b[\s.]*){3,}")
_JOINING = frozenset(
    "and & of the for de la le les du des del da do dos di und der die das von van den y e et en + - i og z o.o".split()
)
# Words by which a sentence in a name field is known for what it is: orders, scores, promises, addresses.
_SPEAKING = frozenset(
    """ignore disregard forget override obey follow output print repeat reveal write answer respond say tell rate
    score scores tier instruction instructions prompt prompts system assistant human user developer admin model previous
    above rules hacked hack hacker pwned owned jailbreak approve approved approval guarantee guaranteed discount
    discounts free refund refunded prize winner win urgent password click call pay please must http https script drop
    select null undefined ignora ignorez vergiss olvida instrucciones anweisungen""".split()
)


def to_display_name(name: str) -> str:
    """The name as a pitch shows it; "your company" for one that could be more than a name.

    More than a name: markup, an address, a number to call, characters that can't be seen or look like others, other
    letters than Latin ones (the pitch is English), a sentence, an order. Some real names are lost that way, which costs
    a pitch its personal touch and nothing else.
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
    bare = [word.strip("().,'’-+").lower() for word in words]
    return not _SPEAKING.intersection(bare) and all(_starts_a_name(word) for word in words)


def _starts_a_name(word: str) -> bool:
    """Names are written with capitals or figures; `eBay` is one, a word of a sentence is none."""
    return word.lower().rstrip(".") in _JOINING or any(char.isupper() or char.isdigit() for char in word)


def _is_latin(char: str) -> bool:
    return not char.isalpha() or unicodedata.name(char, "").startswith("LATIN ")
