"""The SOQL that is sent (SOQL and SOSL Reference). Datetimes are UTC, without quotes; Ids compare by all characters."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from services.ingest.domain.salesforce.sobjects import Description

LONGEST_GET: Final = 12_000
"""Characters of a statement that still fits a URL: REST takes 16,384 bytes of URI and headers (431 beyond)."""


@dataclass(frozen=True)
class Window:
    """`since <= cursor field < until`, after `after` (the cursor's value and the Id of the last record read)."""

    since: str | None = None
    until: str | None = None
    after: tuple[str, str] | None = None


def select_window(description: Description, window: Window, *, is_ordered: bool) -> str:
    """The records of a window. In order, so that the place of the last one is a place to go on from.

    Without order for Bulk API 2.0, where `order by` turns off chunking (Bulk guide, "SOQL Considerations").
    """
    order = f" order by {description.cursor}, Id" if is_ordered else ""
    return f"select {_fields(description)} from {description.sobject}{_where(description, window)}{order}"


def count_window(description: Description, window: Window) -> str:
    """How many there are, as `totalSize`."""
    return f"select count() from {description.sobject}{_where(description, window)}"


def select_by(description: Description, field: str, ids: Iterable[str]) -> str:
    """The records whose `field` is one of the ids."""
    listed = ",".join(f"'{_escape(id)}'" for id in ids)
    return f"select {_fields(description)} from {description.sobject} where {field} in ({listed}) order by Id"


def select_children(description: Description, reference: str, parent: str, window: Window) -> str:
    """The records of those parents that changed in the window (SOQL, "Semi-Joins with IN")."""
    inner = f"select Id from {parent} where {' and '.join(_bounds('SystemModstamp', window))}"
    return f"select {_fields(description)} from {description.sobject} where {reference} in ({inner}) order by Id"


def to_literal(stamp: str) -> str:
    """A datetime as REST or Bulk writes it, as SOQL takes it."""
    return to_moment(stamp).strftime("%Y-%m-%dT%H:%M:%S.") + f"{to_moment(stamp).microsecond // 1000:03d}Z"


def to_moment(stamp: str) -> datetime:
    """Aware, in UTC. Raises ValueError for what is no datetime."""
    moment = datetime.fromisoformat(stamp)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def to_stamp(moment: datetime) -> str:
    """As REST writes it, to the millisecond."""
    utc = moment.astimezone(UTC)
    return utc.strftime("%Y-%m-%dT%H:%M:%S.") + f"{utc.microsecond // 1000:03d}+0000"


def earlier(stamp: str, seconds: float) -> str:
    return to_stamp(to_moment(stamp) - timedelta(seconds=seconds))


def _where(description: Description, window: Window) -> str:
    bounds = _bounds(description.cursor, window)
    if window.after is not None:
        stamp, id = to_literal(window.after[0]), _escape(window.after[1])
        # The first part is implied by the second; it is what an index can serve.
        bounds.append(f"{description.cursor} >= {stamp}")
        bounds.append(f"({description.cursor} > {stamp} or Id > '{id}')")
    return f" where {' and '.join(bounds)}" if bounds else ""


def _bounds(cursor: str, window: Window) -> list[str]:
    bounds = []
    if window.since is not None:
        bounds.append(f"{cursor} >= {to_literal(window.since)}")
    if window.until is not None:
        bounds.append(f"{cursor} < {to_literal(window.until)}")
    return bounds


def in_order(fields: Iterable[str]) -> tuple[str, ...]:
    """As they are asked for: Id first, so that a page of CSV without a header can be told from one with."""
    return ("Id", *sorted(field for field in fields if field != "Id"))


def _fields(description: Description) -> str:
    return ",".join(in_order(description.types))


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
