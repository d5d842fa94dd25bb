"""Values as a person reads them in a terminal."""

import json
import unicodedata
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any


def plain(text: str) -> str:
    """One line without control or direction marks: what a CRM holds may not steer the reader's terminal."""
    kept = (" " if character in "\n\r\t" else character for character in text)
    return "".join(character for character in kept if unicodedata.category(character) not in ("Cc", "Cf")).strip()


def thousands(number: float) -> str:
    """1234567 -> 1,234,567."""
    return f"{number:,}"


def counted(number: int | str, noun: str) -> str:
    """1 answer, 2 answers; 0 pitches."""
    plural = noun + ("es" if noun.endswith("ch") else "s")
    shown = number if isinstance(number, str) else thousands(number)
    return f"{shown} {noun if number == 1 else plural}"


def duration(seconds: float | None) -> str:
    """0.4 s, 12.3 s, 2:05, 1:02:03; empty when unknown."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return str(timedelta(seconds=round(seconds))).removeprefix("0:").removeprefix("0")


def moment(time: datetime | None) -> str:
    """UTC, to the second; the column's header says so."""
    return "" if time is None else time.strftime("%Y-%m-%d %H:%M:%S")


def signed(points: float) -> str:
    """+12, -3.5."""
    return f"{points:+.1f}".removesuffix(".0")


def value_text(value: Any) -> str:
    """A JSON value in a sentence: numbers with separators, text as it is, the rest as compact JSON."""
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, int | float):
        return thousands(value)
    if isinstance(value, str):
        return plain(value)
    return plain(json.dumps(value, ensure_ascii=False))


def pairs(values: Mapping[str, Any]) -> str:
    """`hubspot_deals 5  hubspot_contacts 3`: names as the data has them; what is null is left out."""
    return "  ".join(f"{plain(name)} {value_text(value)}" for name, value in values.items() if value is not None)


def words(name: str) -> str:
    """rejected_answers -> rejected answers, llm_calls -> LLM calls."""
    return " ".join({"llm": "LLM", "id": "id"}.get(word, word) for word in plain(name).split("_"))
