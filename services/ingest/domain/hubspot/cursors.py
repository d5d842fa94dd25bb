"""Where a stream of HubSpot goes on: JSON in the operations database, written by one job and read by the next."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

from services.ingest.domain.sources import SyncRun

Phase: TypeAlias = Literal["scan", "changes", "archived", "done"]


@dataclass(frozen=True)
class Position:
    """A place in a stream.

    `scan` reads all of it, `changes` what changed since `since`, `archived` what lies in the bin; `done`: the stream is
    read to its end, and the next reading begins at `started`, since what changes later has a later stamp.
    """

    phase: Phase
    job_id: str
    started: datetime
    """When the reading began, by the CRM's clock. No bookmark lies after it: what changes meanwhile comes next time."""
    since: datetime | None = None
    """None: the beginning."""
    until: datetime | None = None
    after: str | None = None
    """Token or id of the page to go on with; None: the first."""
    is_taken_over: bool = False
    """Another job began it. What changed since then comes with one more reading of the same sync."""

    @property
    def is_scan(self) -> bool:
        """All of the stream is read, so what doesn't come is gone."""
        return self.since is None and self.until is None

    def at(self, after: str | None) -> "Position":
        """The same phase, further on."""
        return replace(self, after=after)

    def to(self, phase: Phase) -> "Position":
        """The beginning of the next phase."""
        return replace(self, phase=phase, after=None)

    def following(self, now: datetime, lookback: timedelta) -> "Position":
        """The reading of what changed since this one began."""
        return Position("changes", self.job_id, now, self.started - lookback)

    def to_cursor(self) -> dict[str, Any]:
        """As JSON."""
        moments = {name: getattr(self, name) for name in ("started", "since", "until")}
        texts = {name: None if moment is None else moment.isoformat() for name, moment in moments.items()}
        told = {"phase": self.phase, "job_id": self.job_id, "after": self.after, "is_taken_over": self.is_taken_over}
        return {**told, **texts}


def to_position(cursor: dict[str, Any]) -> Position:
    """The reverse of `to_cursor`."""

    def moment(name: str) -> datetime | None:
        return datetime.fromisoformat(cursor[name]) if cursor.get(name) else None

    started = moment("started")
    assert started is not None
    return Position(
        cursor["phase"],
        cursor["job_id"],
        started,
        moment("since"),
        moment("until"),
        cursor.get("after"),
        cursor.get("is_taken_over", False),
    )


def next_position(
    run: SyncRun,
    stream: str,
    now: datetime,
    lookback: timedelta,
    window: tuple[datetime | None, datetime | None] | None = None,
) -> Position:
    """Where this sync goes on in `stream`: within what was broken off, or at the beginning of a new reading.

    A scan that another job began is begun anew, because its first half would count as gone. Another reading that it
    began is taken over; `Position.following` comes after it.
    """
    stored = run.cursors.get(stream)
    position = None if stored is None else to_position(stored)
    if position is not None and position.job_id == run.job_id:
        return position.following(now, lookback) if position.is_taken_over and position.phase == "done" else position
    if window is not None:
        return Position("changes", run.job_id, now, window[0], window[1])
    if position is not None and not position.is_scan and position.phase != "done":
        return replace(position, job_id=run.job_id, is_taken_over=True)
    if position is None or position.phase != "done" or run.mode == "full":
        return Position("scan", run.job_id, now)
    return replace(position, job_id=run.job_id).following(now, lookback)


def window_stream(stream: str, window: tuple[datetime | None, datetime | None] | None) -> str:
    """The name under which a window keeps its place, apart from the stream's own."""
    if window is None:
        return stream
    since, until = (None if moment is None else moment.isoformat() for moment in window)
    return f"{stream}:{since or ''}..{until or ''}"
