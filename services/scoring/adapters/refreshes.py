"""Brings leads up to date whose accounts have other facts under the same question, without asking the model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from services.scoring.adapters.activity import TELLS_MORE, as_told, read_history
from services.scoring.adapters.marts import read_accounts
from services.scoring.adapters.outbound_tables import lead_score_history, lead_scores
from services.scoring.adapters.plan import PlannedAccount, PlanQuery, read_page
from services.scoring.adapters.upserts import read_leads_in, read_stored_leads
from services.scoring.domain.history import add_history, to_changes, to_history_row, to_shown_change
from services.scoring.domain.lead import Rules
from services.scoring.domain.policy import PitchPolicy
from services.scoring.domain.profile import AccountProfile
from services.scoring.domain.refresh import RefreshedPage, refresh_lead
from services.scoring.domain.tiers import TierRule
from shared.logging import get_logger
from shared.warehouse import Warehouse, merge_staged, stage_rows

log = get_logger(__name__)
PAGE_ACCOUNTS: Final = 500
_NOT_OF_FACTS: Final = ("account_id", "is_active", "inactive_reason")
_UPDATED: Final = [column.name for column in lead_scores.columns if column.name not in _NOT_OF_FACTS]
# The answer is the one that was read, and the facts are not older than those that are there.
_IS_BEHIND: Final = (
    "stored.job_id = offered.job_id and stored.input_key = offered.input_key"
    " and coalesce(stored.facts_hash, '') <> offered.facts_hash and stored.mart_updated_at <= offered.mart_updated_at"
)

Row = dict[str, Any]


@dataclass
class Refreshes:
    """Of one job: the plan's stale accounts, page after page."""

    warehouse: Warehouse
    query: PlanQuery
    rules: Rules
    policy: PitchPolicy
    tier_rule: TierRule
    before_commit: Callable[[], None]
    is_dry_run: bool
    _last: PlannedAccount | None = field(default=None)

    def run_page(self) -> RefreshedPage | None:
        """One transaction; None when all were seen. An account that brings out a defect of ours costs itself alone: it
        is told in the log and counted as failed, and its lead stays.

        Raises:
            TransientError: `warehouse-busy`.
            JobCancelled, LeaseLost: from `before_commit`.
        """
        page = read_page(self.warehouse, self.query, self._last, PAGE_ACCOUNTS, "stale")
        if not page:
            return None
        self._last = page[-1]
        ids = [one.account_id for one in page]
        profiles, stored = read_accounts(self.warehouse, ids), read_stored_leads(self.warehouse, ids)
        now = datetime.now(UTC).replace(tzinfo=None)
        known = [profile for profile in profiles if profile.account_id in stored]
        leads = [lead for one in known if (lead := self._refresh(stored[one.account_id], one, now)) is not None]
        failed, gone = len(known) - len(leads), len(ids) - len(profiles)
        if self.is_dry_run:
            shown = [to_shown_change(stored[lead["account_id"]], lead) for lead in leads]
            return RefreshedPage(len(ids), len(leads), gone, failed, [one for one in shown if one is not None])
        return RefreshedPage(len(ids), self._write(leads, now), gone, failed, [])

    def _refresh(self, stored: Row, profile: AccountProfile, now: datetime) -> Row | None:
        try:
            return refresh_lead(stored, profile, self.policy, self.rules, self.tier_rule, now)
        except Exception as error:  # a defect, told in the log and in the job's counts
            log.error("refresh_failed", account_id=profile.account_id, exc_info=error)
            return None

    def _write(self, leads: Sequence[Row], now: datetime) -> int:
        with self.warehouse.outbound(write=True) as connection:
            stored = read_leads_in(connection, [lead["account_id"] for lead in leads], list(lead_scores.columns))
            fresh = [lead for lead in leads if _is_behind(stored.get(lead["account_id"]), lead)]
            pairs = [(before, lead) for lead in fresh if to_changes(before := stored[lead["account_id"]], lead)]
            told = read_history(connection, [lead["account_id"] for _, lead in pairs], self.rules.job_id)
            history = [
                add_history(told.get(lead["account_id"]), to_history_row(before, as_told(lead, self.rules.job_id, now)))
                for before, lead in pairs
            ]
            staged = [
                *stage_rows(self.warehouse, connection, lead_scores, fresh, _IS_BEHIND),
                *stage_rows(self.warehouse, connection, lead_score_history, history, TELLS_MORE),
            ]
            for one in staged:
                updates = _UPDATED if one.target is lead_scores else None
                merge_staged(connection, one.target, one.offered, update_when=one.update_when, updates=updates)
            self.before_commit()
        return len(fresh)


def _is_behind(stored: Mapping[str, Any] | None, lead: Row) -> bool:
    """The MERGE's own condition, needed here to know which leads get a history row."""
    return (
        stored is not None
        and all(stored[name] == lead[name] for name in ("job_id", "input_key"))
        and stored["facts_hash"] != lead["facts_hash"]
        and stored["mart_updated_at"] <= lead["mart_updated_at"]
    )
