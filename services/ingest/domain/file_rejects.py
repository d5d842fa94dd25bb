"""The text of rows that are none: a broken row may be as long as its file, so it is cut where it is found."""

from typing import Final

from services.ingest.domain.sources import Reject

KEPT_CHARACTERS: Final = 9_900  # with the words behind them still below what landing keeps of a reject


def file_reject(file: str, line: int, reason: str, content: str) -> Reject:
    """With as much of the text as is kept."""
    return Reject(file, line, reason, cut(content))


def cut(content: str) -> str:
    """The text's beginning, and how much is missing."""
    missing = len(content) - KEPT_CHARACTERS
    return content if missing <= 0 else f"{content[:KEPT_CHARACTERS]}... ({missing} more characters in the file)"
