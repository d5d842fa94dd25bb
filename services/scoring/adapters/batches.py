"""Results become rows in micro-batches. A row that the warehouse refuses costs its account, not its neighbours."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa

from services.scoring.adapters.upserts import read_stored_leads, storable, to_reject_rows, upsert_batch
from services.scoring.domain.history import to_shown_change
from services.scoring.domain.interview import Interview
from services.scoring.domain.lead import Rules, to_lead_row
from services.scoring.domain.tiers import TierRule, keep_tier
from services.scoring.domain.written_off import Outcome, Superseded, WrittenOff, after_refused_row
from shared.logging import get_logger
from shared.warehouse import Warehouse

log = get_logger(__name__)
# What a value can bring about that no column takes; a full disk or a lost connection is none of these.
_OF_A_ROW: Final = (ValueError, TypeError, OverflowError, ArithmeticError, sa.exc.DataError)


@dataclass(frozen=True)
class LeadBatches:
    """Writes for one job."""

    warehouse: Warehouse
    rules: Rules
    tier_rule: TierRule
    force: bool
    before_commit: Callable[[], None]

    def write(self, batch: Sequence[Outcome]) -> Sequence[Outcome | Superseded]:
        """All or nothing, in one transaction; where a row is refused, each account by itself. Gives what was written:
        an account whose row was refused comes back as written off, one with a newer lead as superseded.

        Raises:
            TransientError: `warehouse-busy`.
            JobCancelled, LeaseLost: from `before_commit`.
        """
        try:
            written = self._upsert(batch)
            return [
                one if one.account_id in written or isinstance(one, WrittenOff) else Superseded(one) for one in batch
            ]
        except _OF_A_ROW as error:
            if len(batch) > 1:
                log.warning("batch_refused", accounts=len(batch), exc_info=error)
                return [written for outcome in batch for written in self.write([outcome])]
            if isinstance(batch[0], WrittenOff):
                raise  # its row holds text of ours alone
            log.error("row_refused", account_id=batch[0].account_id, exc_info=error)
            refused = after_refused_row(batch[0].account_id, error, batch[0].raw_answer or "")
            self._upsert([refused])
            return [refused]

    def show(self, batch: Sequence[Outcome]) -> list[dict[str, Any]]:
        """What writing would change, for a dry run."""
        leads = self._to_leads(batch, _now())
        stored = read_stored_leads(self.warehouse, [lead["account_id"] for lead in leads])
        pairs = [(stored.get(lead["account_id"]), lead) for lead in leads]
        if self.tier_rule.by == "capacity":
            pairs = [(before, keep_tier(lead, before)) for before, lead in pairs]
        return [change for pair in pairs if (change := to_shown_change(*pair)) is not None]

    def _upsert(self, batch: Sequence[Outcome]) -> set[str]:
        now = _now()
        return upsert_batch(
            self.warehouse,
            self._to_leads(batch, now),
            [row for outcome in batch for row in to_reject_rows(outcome, self.rules.job_id, now)],
            force=self.force,
            before_commit=self.before_commit,
            keeps_tier=self.tier_rule.by == "capacity",
        )

    def _to_leads(self, batch: Sequence[Outcome], now: datetime) -> list[dict[str, Any]]:
        leads = [to_lead_row(outcome, self.rules, now) for outcome in batch if isinstance(outcome, Interview)]
        return [{**lead, "llm_answer": lead["llm_answer"] and storable(lead["llm_answer"])} for lead in leads]


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
