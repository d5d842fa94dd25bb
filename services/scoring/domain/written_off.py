"""Accounts on which scoring gives up after so many attempts, so that their neighbours don't suffer.

An attempt ends an account's turn when our code fails on it, when its row can't be stored, or when the worker dies while
it is asked about. An attempt that is broken off (a stop, a time limit, a server that is away) does not count.
"""

from dataclasses import dataclass
from typing import Final

from services.scoring.domain.interview import Interview, Refusal

MOST_ATTEMPTS: Final = 3
WRITTEN_OFF: Final = "account-failed"
_ATTEMPT: Final = 0  # of the reject row: it stands for the account, not for one of its answers


@dataclass(frozen=True)
class WrittenOff:
    """An account without a result in this job: its lead, if it has one, stays as it was. `reason` is for operators."""

    account_id: str
    reason: str
    raw_answer: str = ""

    @property
    def refusals(self) -> list[Refusal]:
        """The makings of its `score_rejects` row."""
        return [Refusal(_ATTEMPT, WRITTEN_OFF, self.reason, self.raw_answer)]


Outcome = Interview | WrittenOff


@dataclass(frozen=True)
class Superseded:
    """An answer that was not stored: the account's lead is of a newer mart, or another job's of the same question."""

    interview: Interview

    @property
    def account_id(self) -> str:
        """Of its profile."""
        return self.interview.account_id


"""What an account's turn comes to."""


def after_crash(account_id: str, error: Exception, raw_answer: str) -> WrittenOff:
    """Our code failed on it each time; the log has the traceback."""
    return WrittenOff(
        account_id,
        f"{type(error).__name__} on each of {MOST_ATTEMPTS} attempts to score it: this is a defect. The worker's log "
        "has the traceback under account_id. Its next scoring tries again.",
        raw_answer,
    )


def after_deaths(account_id: str) -> WrittenOff:
    """The worker died each time that it was asked about."""
    return WrittenOff(
        account_id,
        f"The worker died on each of {MOST_ATTEMPTS} attempts to score it (killed, or out of memory). Look at the "
        "worker's log and its memory limit. Its next scoring tries again.",
    )


def after_refused_row(account_id: str, error: Exception, raw_answer: str) -> WrittenOff:
    """The warehouse takes its neighbours' rows and not this one's."""
    return WrittenOff(
        account_id,
        f"The warehouse can't store its row ({type(error).__name__}); the worker's log has the error under account_id. "
        "Its next scoring tries again.",
        raw_answer,
    )
