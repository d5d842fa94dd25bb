"""What a CRM's answer says: its content, its complaint, and how long it asks to wait."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

_QUOTA_CODES: Final = frozenset({"REQUEST_LIMIT_EXCEEDED", "DAILY"})  # Salesforce's errorCode, HubSpot's policyName
_CODE_KEYS: Final = ("errorCode", "category", "policyName", "errorType", "error")
_MESSAGE_KEYS: Final = ("message", "error_description")
_SCOPE_KEYS: Final = ("requiredGranularScopes", "requiredScopes")
_MESSAGE_CHARACTERS: Final = 500
_DEEPEST_COMPLAINT: Final = 20
# Half of a surrogate pair, escaped or as bytes: what a CRM leaves of an emoji that it cuts. Whole pairs match, too.
_PERHAPS_HALF: Final = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")
_HALF: Final = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Complaint:
    """An error answer in the CRM's own words."""

    message: str
    codes: tuple[str, ...]
    scopes: tuple[str, ...]

    @property
    def is_quota(self) -> bool:
        """A quota of the day: waiting for seconds doesn't help."""
        return not _QUOTA_CODES.isdisjoint(self.codes) and not self.is_crowded

    @property
    def is_crowded(self) -> bool:
        """Too many calls at once, which passes: Salesforce tells it by the code of the day's quota, with status 403."""
        return self.message.startswith("ConcurrentRequests")


def read_json(body: bytes) -> tuple[Any, bool]:
    """The parsed body, and whether halves of characters were in it: no text can hold one, so U+FFFD stands for it.

    Raises:
        ValueError: it is no JSON, or none that can be read.
    """
    try:
        answer = json.loads(body)
        if _PERHAPS_HALF.search(body) is None:
            return answer, False
        text, halves = _HALF.subn("\ufffd", json.dumps(answer, ensure_ascii=False))
        return (json.loads(text), True) if halves else (answer, False)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_complaint(body: Any) -> Complaint:
    """Of HubSpot's `{message, category, errors}`, Salesforce's `[{errorCode, message}]` or OAuth's `{error, ...}`."""
    parts = list(_dicts(body))
    messages = [str(part[key]) for part in parts for key in _MESSAGE_KEYS if part.get(key)]
    codes = [str(part[key]) for part in parts for key in _CODE_KEYS if isinstance(part.get(key), str)]
    scopes = [str(scope) for part in parts for key in _SCOPE_KEYS for scope in _names(part.get(key))]
    text = " ".join(" ".join(dict.fromkeys(messages)).split())[:_MESSAGE_CHARACTERS]
    return Complaint(text or ", ".join(codes) or "no reason given", tuple(codes), tuple(dict.fromkeys(scopes)))


def read_retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds to wait, from `Retry-After` as seconds or as a date; None where there is none that can be read."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        moment = read_date(text)
        return None if moment is None else max(0.0, (moment - now).total_seconds())


def read_date(text: str) -> datetime | None:
    """An HTTP date, aware; None where it is none."""
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):  # a year or an offset of any number of digits
        return None
    return moment if moment.tzinfo is not None else None


def _dicts(body: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    if depth > _DEEPEST_COMPLAINT:
        return
    if isinstance(body, dict):
        yield body
        for key in ("errors", "context"):
            yield from _dicts(body.get(key), depth + 1)
    elif isinstance(body, list):
        for one in body:
            yield from _dicts(one, depth + 1)


def _names(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
