"""How often a job has begun with each account that it has no result of yet: what tells, after a worker's death, which
account may have been its cause. Kept in the operations database, beside the job's row and under its fence.
"""

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import Final, Protocol

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.scoring.domain.profile import AccountProfile
from shared.errors import TransientError
from shared.jobs.context import LeaseLost
from shared.jobs.fenced import fenced_write
from shared.jobs.transitions import note_progress
from shared.logging import get_logger
from shared.operations.database import OperationsDatabase
from shared.operations.models import AccountAttempt
from shared.operations.outages import outage_as_transient

log = get_logger(__name__)
_ROWS_A_STATEMENT: Final = 500
_SURE_ATTEMPTS: Final = 2  # after so many the account was alone when the worker died last


class AttemptLog(Protocol):
    """Of one job. A row is there from an account's turn until its result is stored."""

    def read(self) -> dict[str, int]:
        """account_id -> attempts of those accounts with which an earlier worker of this job was busy when it ended."""
        ...

    def note(self, begun: Mapping[str, int], ended: Collection[str], *, is_place: bool) -> None:
        """`begun`: account -> number of this attempt, noted before it is asked about; `ended` need no row any more.

        `is_place`: the job has got on, so its own attempts count anew from here (`note_progress`).

        Raises:
            LeaseLost: the job is another worker's by now.
            TransientError: `operations-unavailable`.
        """
        ...


class JobAttempts:
    """See `AttemptLog`: survives the worker."""

    def __init__(self, database: OperationsDatabase, job_id: str, fence: int) -> None:
        self._database = database
        self._job_id = job_id
        self._fence = fence

    def read(self) -> dict[str, int]:
        query = sa.select(AccountAttempt.account_id, AccountAttempt.attempts)
        with outage_as_transient(), self._database.read() as session:
            rows = session.execute(query.where(AccountAttempt.job_id == self._job_id)).all()
        return {row.account_id: row.attempts for row in rows}

    def note(self, begun: Mapping[str, int], ended: Collection[str], *, is_place: bool) -> None:
        with fenced_write(self._database, self._job_id, self._fence) as session:
            self._forget(session, [*begun, *ended])
            rows = [{"job_id": self._job_id, "account_id": one, "attempts": count} for one, count in begun.items()]
            if rows:
                session.execute(sa.insert(AccountAttempt), rows)
            if is_place:
                note_progress(session, self._job_id)

    def _forget(self, session: Session, account_ids: list[str]) -> None:
        for start in range(0, len(account_ids), _ROWS_A_STATEMENT):
            named = AccountAttempt.account_id.in_(account_ids[start : start + _ROWS_A_STATEMENT])
            session.execute(sa.delete(AccountAttempt).where(AccountAttempt.job_id == self._job_id, named))


class RunAttempts:
    """See `AttemptLog`: for a run without a job's row; forgotten with the process."""

    def read(self) -> dict[str, int]:
        return {}

    def note(self, begun: Mapping[str, int], ended: Collection[str], *, is_place: bool) -> None:
        """Nothing outlives the run that could be counted on."""


class Turns:
    """The accounts whose turn it is, in one attempt of a job. `end` may be called while `begin` runs in a thread."""

    def __init__(self, log: AttemptLog) -> None:
        self._log = log
        self._begun: dict[str, int] = {}
        self._ended: deque[str] = deque()
        self.earlier: dict[str, int] = {}
        """Attempts of the accounts with which an earlier worker was busy when it ended."""

    def read(self) -> None:
        """Fill `earlier`."""
        self.earlier = self._log.read()

    def attempt_of(self, account_id: str) -> int:
        """Of the one that goes on now, from 1."""
        return self.earlier.get(account_id, 0) + 1

    def begin(self, window: Sequence[AccountProfile]) -> None:
        """Before any of them is asked about. Raises as `AttemptLog.note`."""
        begun = {profile.account_id: self.attempt_of(profile.account_id) for profile in window}
        ended = self._take_ended()
        # An account that was alone with two dead workers answers for its next death itself: it is written off then.
        is_sure = any(count > _SURE_ATTEMPTS for count in begun.values())
        is_whole_window = bool(ended) and not begun.keys() & self.earlier.keys()
        self._log.note(begun, ended, is_place=is_sure or is_whole_window)
        self._begun |= begun

    def end(self, account_id: str) -> None:
        """Its result is stored."""
        self._ended.append(account_id)

    def finish(self) -> None:
        """All have a result. Raises as `AttemptLog.note`."""
        self._log.note({}, {*self.earlier, *self._begun, *self._take_ended()}, is_place=False)
        self._begun = {}

    def give_back(self) -> None:
        """The attempt is broken off, and none of the accounts is to blame: each has the attempts that it had before."""
        ended = self._take_ended()
        before = {name: self.earlier[name] for name in self._begun if name in self.earlier}
        try:
            self._log.note(before, {*self._begun, *ended}, is_place=False)
        except (LeaseLost, TransientError) as error:  # then one attempt counts that was none, which does no harm
            log.info("attempts_not_given_back", reason=type(error).__name__)

    def _take_ended(self) -> list[str]:
        ended = [self._ended.popleft() for _ in range(len(self._ended))]
        for name in ended:
            self._begun.pop(name, None)
        return ended
