"""Which tier a lead belongs to: by its score, or by how many leads a tier can hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from services.scoring.domain.lead import to_next_action
from services.scoring.settings import ScoringSettings

LAST_TIER: Final = "D"  # has no limit


@dataclass(frozen=True)
class TierRule:
    """`limits` by tier: with `score` its least score, with `capacity` how many leads it holds, the best ones first."""

    by: Literal["score", "capacity"]
    limits: Mapping[str, int]

    @property
    def bounds(self) -> list[tuple[str, int]]:
        """Best tier first, with its least score or the last place in the ranking that is its own."""
        names = sorted(self.limits)
        if self.by == "score":
            return [(name, self.limits[name]) for name in names]
        return [(name, sum(self.limits[one] for one in names[: at + 1])) for at, name in enumerate(names)]


def to_tier_rule(settings: ScoringSettings) -> TierRule:
    """GTM_TIER_BY with its limits."""
    return TierRule(settings.tier_by, settings.tiers if settings.tier_by == "score" else settings.tier_accounts)


def move_to_tier(lead: Mapping[str, Any], tier: str) -> dict[str, Any]:
    """The lead's row in a tier, with what is to be done there: what the model proposed, where the tier allows it."""
    return {**lead, "tier": tier, "next_action": to_next_action(tier, lead["proposed_action"])}


def keep_tier(lead: Mapping[str, Any], stored: Mapping[str, Any] | None) -> dict[str, Any]:
    """The row of a lead that was just scored where tiers go by capacity: its place is known when all are scored, so it
    keeps its tier until then, and a new one begins in the last."""
    return move_to_tier(lead, stored["tier"] if stored else LAST_TIER)
