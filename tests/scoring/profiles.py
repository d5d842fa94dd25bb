"""An account as the checks see it, and the texts that ship."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from services.scoring.adapters.texts import read_policy, read_prompt
from services.scoring.domain.profile import AccountProfile, Factor, parse_values
from services.scoring.settings import ScoringSettings

SETTINGS = ScoringSettings()
POLICY = read_policy(SETTINGS.policy_path)
PROMPT = read_prompt(SETTINGS.prompt_path)


def profile(**changes: Any) -> AccountProfile:
    row: dict[str, Any] = {
        "industry": "logistics",
        "region": "europe",
        "vehicle_type": "trucks",
        "employees": 1,
        "fleet_size": 1400,
        "visits_90d": 0,
        "days_since_last_visit": 200,
        "open_pipeline_usd": Decimal("42000.00"),
    } | changes
    factors = (
        Factor("fleet_size", "fit", str(row["fleet_size"]), Decimal(20), Decimal(20), "x"),
        Factor("visits", "engagement", str(row["visits_90d"]), Decimal(-3), Decimal(10), "x"),
    )
    when = datetime(2026, 1, 1)
    return AccountProfile("a", "Nordlicht AG", None, parse_values(row), 40, 30, 10, "hash", "build", when, factors)
