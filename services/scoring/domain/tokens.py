"""A pitch's sentences taken apart: words, slots and marks, and where a clause ends."""

import re
from collections.abc import Sequence

from services.scoring.domain.profile import ACCOUNT_NAME_SLOT

NAME = f"{{{ACCOUNT_NAME_SLOT}}}"
CLAUSE_ENDS = frozenset(',;:.!?–—()"“”-…')
_TOKEN = re.compile(r"\{[a-z0-9_]+\}(?:['’]s\b)?|[a-z]+(?:['’-][a-z]+)*['’]?|[^\sa-z]", re.IGNORECASE)
_SENTENCE = re.compile(r"(?<=[.!?])\s+")

Tokens = Sequence[str]


def to_sentences(text: str) -> list[str]:
    """The sentences with their marks."""
    return _SENTENCE.split(text.strip())


def to_tokens(sentence: str) -> list[str]:
    """Words in lower case with a straight apostrophe, slots, and each other character by itself."""
    return [token.lower().replace("’", "'") for token in _TOKEN.findall(sentence)]


def token_at(tokens: Tokens, index: int) -> str:
    """The token there; `^` before the first, `$` after the last."""
    if index < 0:
        return "^"
    return tokens[index] if index < len(tokens) else "$"


def is_fact(token: str) -> bool:
    """Whether it is the slot of a value, not of the name."""
    return token.startswith("{") and not token.startswith(NAME)
