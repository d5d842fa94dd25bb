"""Where the reading of one object stands: the cursor that is kept between attempts and between syncs."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal, Self

from services.ingest.domain.salesforce.sobjects import Description
from services.ingest.domain.salesforce.soql import Window, earlier, in_order, to_moment, to_stamp

Phase = Literal["rows", "bulk", "late", "children", "deleted", "done"]
_LOG_DAYS: Final = 14  # sObject Get Deleted and the recycle bin go back 15; a day for the clock and the sync itself


@dataclass(frozen=True)
class Place:
    """The way of one reading: rows (or bulk), late, children, deleted, done. All times are Salesforce's own.

    `rows` reads a window by REST, `bulk` by a query job; `late` what changed while a whole reading ran; `children`
    those of changed parents; `deleted` what the delete log tells.
    """

    phase: Phase
    until: str
    """The end of the window, not in it: the server's clock when the reading began. The next one begins there."""
    since: str | None = None
    """The begin of the window; None for a whole reading."""
    after: tuple[str, str] | None = None
    """Cursor value and Id of the last record that was read, in the phases rows and late."""
    bulk_job: str | None = None
    locator: str | None = None
    fields: tuple[str, ...] = ()
    """Those that are read."""
    scan_of: str | None = None
    """The job that began the whole reading: it alone knows all keys that came."""
    read_whole_until: str | None = None
    """`until` of the last whole reading that ended."""
    deleted_until: str | None = None
    """What was deleted is known up to here; None where only a whole reading can tell."""
    spent: int = 0
    """API requests that the job `spent_by`, all of its attempts together, had made when it came here."""
    spent_by: str = ""

    @classmethod
    def from_json(cls, cursor: Mapping[str, Any]) -> Self:
        """Raises TypeError or KeyError for a cursor of another release."""
        after = cursor["after"]
        return cls(
            **{**cursor, "after": None if after is None else (after[0], after[1]), "fields": tuple(cursor["fields"])}
        )

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "fields": list(self.fields)}

    @property
    def is_whole(self) -> bool:
        return self.since is None

    @property
    def window(self) -> Window:
        """What the phase reads. `late` is open to the future: what changes once more meanwhile is still found."""
        if self.phase == "late":
            return Window(self.until, None, self.after)
        return Window(self.since, self.until, self.after)


def begin_whole(
    now: datetime, description: Description, job_id: str, *, read_whole_until: str | None, deleted_until: str | None
) -> Place:
    """A reading of everything. Its scan finds what was deleted, if one job reads it to its end; if not, what was known
    of deletions before is all that is known."""
    return Place(
        "rows",
        to_stamp(now),
        fields=in_order(description.types),
        scan_of=job_id,
        read_whole_until=read_whole_until,
        deleted_until=deleted_until,
    )


def begin_changes(now: datetime, description: Description, last: Place, lookback_seconds: float) -> Place:
    """A reading of what changed since the last one, and a little before: a change is seen when it is committed, which
    is later than it is stamped."""
    return replace(
        last,
        phase="rows",
        since=earlier(min(last.until, to_stamp(now)), lookback_seconds),
        until=to_stamp(max(now, to_moment(last.until))),
        after=None,
        fields=in_order(description.types),
    )


def why_whole(last: Place | None, description: Description, now: datetime, whole_days: float) -> str | None:
    """Why the changes alone won't do; None where they will."""
    if last is None:
        return "it was never read"
    if last.deleted_until is None:
        return "what was deleted of it is not known, since its last whole reading was broken off"
    if to_moment(last.deleted_until) < now - timedelta(days=_LOG_DAYS):
        return f"the last sync is over {_LOG_DAYS} days ago, and Salesforce forgets what was deleted"
    added = sorted(set(description.types) - set(last.fields))
    if added:
        return f"it has new fields, whose values move no SystemModstamp: {', '.join(added)}"
    if not description.hears_changes and not description.is_replicateable:
        return "Salesforce tells neither its changes nor what was deleted of it"
    is_due = last.read_whole_until is None or to_moment(last.read_whole_until) < now - timedelta(days=whole_days)
    if is_due and description.formulas:
        return f"formula fields move no SystemModstamp, and were not read whole for {whole_days:g} days"
    if is_due and not description.is_replicateable:
        return f"Salesforce doesn't tell what was deleted of it, and it was not read whole for {whole_days:g} days"
    return None
