"""What follows from all leads together, after a scoring: which of them are prospects no more, and the tiers."""

from collections.abc import Callable
from datetime import UTC, datetime

from services.scoring.adapters.activity import settle_activity
from services.scoring.adapters.plan import PlanQuery
from services.scoring.adapters.tiers import settle_tiers, show_tiers
from services.scoring.domain.tally import MOST_LISTED_CHANGES, Tally
from services.scoring.domain.tiers import TierRule
from shared.warehouse import Warehouse


def settle_leads(
    warehouse: Warehouse, query: PlanQuery, rule: TierRule, tally: Tally, *, before_commit: Callable[[], None]
) -> None:
    """Counted in `tally`, which a dry run lists instead of writing. A repeat changes nothing; raises what
    `before_commit` does."""
    now = datetime.now(UTC).replace(tzinfo=None)
    most = None if tally.would_change is None else MOST_LISTED_CHANGES
    activity = settle_activity(warehouse, query.job_id, now, query.wanted, before_commit=before_commit, most_shown=most)
    tally.deactivated, tally.reactivated = activity.deactivated, activity.reactivated
    if most is not None:
        tally.list_changes(activity.shown)
        tally.list_changes(show_tiers(warehouse, rule, most=most))
    else:
        tally.moved_tiers = settle_tiers(warehouse, rule, query.job_id, now, before_commit=before_commit)
