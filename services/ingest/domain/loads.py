"""One sync as RAW records it, and what it did to a table."""

from dataclasses import asdict, dataclass, replace
from datetime import datetime

from services.ingest.domain.sources import KnownRows


@dataclass(frozen=True)
class Load:
    """What all rows of one landing have in common."""

    load_id: str
    loaded_at: datetime
    """Naive UTC. The pair (load_id, loaded_at) names one transaction."""
    source: str
    mode: str
    is_complete: bool
    is_baseline: bool


@dataclass(frozen=True)
class LandedCounts:
    """Rows: `seen = inserted + updated + unchanged + duplicates + rejected`."""

    seen: int
    inserted: int
    updated: int
    unchanged: int
    duplicates: int
    rejected: int
    deleted: int = 0
    """Rows of RAW that got a tombstone because the source has them no more: none of those seen."""

    @property
    def changed(self) -> int:
        """Rows of RAW that were written."""
        return self.inserted + self.updated + self.deleted

    def with_known(self, known: KnownRows) -> "LandedCounts":
        """Rows of files that are as they were when they landed count as read again: RAW has them, unchanged."""
        return replace(
            self,
            seen=self.seen + known.rows + known.rejected,
            unchanged=self.unchanged + known.rows,
            rejected=self.rejected + known.rejected,
        )

    def to_dict(self) -> dict[str, int]:
        """JSON for the job's result."""
        return asdict(self)
