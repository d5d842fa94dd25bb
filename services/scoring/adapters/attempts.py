"""How often a job has begun with each account that it has no result of yet: what tells, after a worker's death, which
account may have been its cause. Kept in the operations database, beside the job's row and under its fence.
"""

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from threading import Lock
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
_FEW_DEATHS: Final = 10


class AttemptLog(Protocol):
    """Of one job. A row is there from an account's turn until its answer is in."""

    def read(self) -> dict[str, int]:
        """account_id -> attempts of those accounts with which an earlier worker of this job was busy when it ended."""
        ...

    def note(self, begun: Mapping[str, int], ended: Collection[str], *, is_place: bool) -> None:
        """`begun`: account -> number of this attempt, noted before it is asked about; `ended` have a result.

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
            # A first attempt has no row yet.
            self._forget(session, [*(one for one, count in begun.items() if count > 1), *ended])
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


def may_blame(written_off: int, scored: int) -> bool:
    """Whether deaths may be the accounts' fault: where a worker dies of nearly each, it is the worker."""
    return written_off < _FEW_DEATHS or written_off <= scored


class Turns:
    """The accounts whose turn it is, in one attempt of a job. `begin` runs in a thread, the others beside it.

    `is_resumable`: what is stored is a place to go on from, so that the job's own attempts count anew; a dry run has
    none. `may_blame`: so does an account answer for a worker's death.
    """

    def __init__(self, log: AttemptLog, *, is_resumable: bool = True, may_blame: bool = True) -> None:
        self._log = log
        self._is_resumable = is_resumable
        self._may_blame = may_blame
        self._begun: dict[str, int] = {}
        self._answered: deque[str] = deque()
        self._has_stored = False
        self._is_closed = False
        self._noting = Lock()
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
        with self._noting:
            if self._is_closed:
                return
            begun = {profile.account_id: self.attempt_of(profile.account_id) for profile in window}
            # An account that was alone with two dead workers answers for its next death itself: it is written off then.
            is_sure = self._may_blame and any(count > _SURE_ATTEMPTS for count in begun.values())
            has_stored, self._has_stored = self._has_stored, False
            is_place = self._is_resumable and (is_sure or has_stored)
            self._log.note(begun, self._take_answered(), is_place=is_place)
            self._begun |= begun

    def answer(self, account_id: str) -> None:
        """It has a result: whatever the worker dies of now, it is not this account's question."""
        self._answered.append(account_id)

    def store(self, scored: int) -> None:
        """So many accounts' leads were written. One that was written off takes the job no further."""
        self._has_stored = self._has_stored or scored > 0

    def finish(self) -> None:
        """All have a result. Raises as `AttemptLog.note`."""
        self._log.note({}, {*self.earlier, *self._begun, *self._take_answered()}, is_place=False)
        self._begun = {}

    def give_back(self) -> None:
        """The attempt is broken off, and none of the accounts is to blame: each has the attempts that it had before.
        Waits for a `begin` that goes on, and lets none follow."""
        with self._noting:
            self._is_closed = True
            ended = self._take_answered()
            before = {name: self.earlier[name] for name in self._begun if name in self.earlier}
            try:
                self._log.note(before, {*self._begun, *ended}, is_place=False)
            except (LeaseLost, TransientError) as error:  # then one attempt counts that was none, which does no harm
                log.info("attempts_not_given_back", reason=type(error).__name__)

    def _take_answered(self) -> list[str]:
        ended = [self._answered.popleft() for _ in range(len(self._answered))]
        for name in ended:
            self._begun.pop(name, None)
        return ended
