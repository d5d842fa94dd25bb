"""The records that change events have named, taken up and let go by the sync that holds the job."""

from typing import Protocol

from shared.jobs.refreshes import TakenRecords, settle_records, take_records
from shared.operations.database import OperationsDatabase


class ChangedRecords(Protocol):
    """What waits to be read again."""

    def take(self, source: str) -> TakenRecords:
        """Those of the source; a sync that fails leaves them where they are."""
        ...

    def settle(self, taken: TakenRecords) -> None:
        """They have landed."""
        ...


class OperationsChangedRecords:
    """`ChangedRecords` in the operations database. Both raise LeaseLost when the job is another worker's by now."""

    def __init__(self, database: OperationsDatabase, job_id: str, fence: int) -> None:
        self._database = database
        self._job_id = job_id
        self._fence = fence

    def take(self, source: str) -> TakenRecords:
        return take_records(self._database, source, self._job_id, self._fence)

    def settle(self, taken: TakenRecords) -> None:
        settle_records(self._database, taken, self._job_id, self._fence)
