"""What the model may know about an account: allow-listed numeric and enum fields, and how each is written out.

Free text of a CRM has no way in: an enum outside its list counts as unknown, a number is a number, and the account's
name stays a placeholder that code fills in afterwards.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal

Polarity = Literal["positive", "negative", "neutral"]
Kind = Literal["enum", "count", "days", "money"]

ACCOUNT_NAME_SLOT = "account_name"


@dataclass(frozen=True)
class Field:
    """One allow-listed column of `analytics.dim_accounts`.

    `unit` is (one, many) for counts; `labels` maps an enum's values to the words of a pitch; `factors` are the names
    under which the score's factors speak about this field; `in_pitch` allows the field as a slot of a pitch.
    """

    name: str
    kind: Kind
    unit: tuple[str, str] = ("", "")
    labels: Mapping[str, str] = field(default_factory=dict)
    factors: tuple[str, ...] = ()
    in_pitch: bool = False


_INDUSTRIES = {
    "construction": "construction",
    "logistics": "logistics",
    "field_services": "field services",
    "utilities": "utilities",
    "public_sector": "public sector",
    "retail": "retail",
    "agriculture": "agriculture",
    "food_and_beverage": "food and beverage",
    "software": "software",
}
_REGIONS = {
    "north_america": "North America",
    "europe": "Europe",
    "asia_pacific": "Asia-Pacific",
    "latin_america": "Latin America",
}
_VEHICLES = {
    "vans": "vans",
    "trucks": "trucks",
    "cars": "cars",
    "mixed": "mixed vehicles",
    "heavy_equipment": "heavy equipment",
}

FIELDS: dict[str, Field] = {
    item.name: item
    for item in (
        Field("industry", "enum", labels=_INDUSTRIES, in_pitch=True),
        Field("region", "enum", labels=_REGIONS, in_pitch=True),
        Field("employees", "count", unit=("employee", "employees"), in_pitch=True),
        Field("fleet_size", "count", unit=("vehicle", "vehicles"), in_pitch=True),
        Field("vehicle_type", "enum", labels=_VEHICLES, in_pitch=True),
        Field("visits_90d", "count", unit=("visit", "visits"), factors=("visits",)),
        Field("high_intent_visits_90d", "count", unit=("visit", "visits"), factors=("high_intent_visits",)),
        Field("days_since_last_visit", "days", factors=("recency",)),
        Field("engaged_contacts_90d", "count", unit=("contact", "contacts"), factors=("engaged_contacts",)),
        Field("open_opportunities", "count", unit=("opportunity", "opportunities")),
        Field("open_pipeline_usd", "money", factors=("open_pipeline",)),
    )
}
PITCH_SLOTS = (ACCOUNT_NAME_SLOT, *(name for name, item in FIELDS.items() if item.in_pitch))

_FACTOR_FIELDS = {alias: name for name, item in FIELDS.items() for alias in (name, *item.factors)}
_STALE_DAYS = 90
_RECENT_DAYS = 30  # only where the score has no factor that judges recency

Value = str | int | Decimal


@dataclass(frozen=True)
class Factor:
    """One row of `analytics.fct_account_score_factors`: signed points and why."""

    factor: str
    component: str
    value: str | None
    points: Decimal
    max_points: Decimal
    explanation: str

    @property
    def field(self) -> str | None:
        """The allow-listed field that this factor judges, if it is one."""
        return _FACTOR_FIELDS.get(self.factor)


@dataclass(frozen=True)
class AccountProfile:
    """One account as the mart holds it at `mart_updated_at` (UTC); `values` has only fields that have a value."""

    account_id: str
    account_name: str
    domain: str | None
    values: Mapping[str, Value]
    baseline_score: int
    fit_score: int
    engagement_score: int
    profile_hash: str
    dbt_run_id: str
    mart_updated_at: datetime
    factors: tuple[Factor, ...] = ()
    weights_version: str | None = None
    facts_hash: str | None = None  # of the exact facts that a lead shows
    inactive_reason: str | None = None  # why the account is no active prospect; None: it is one

    def factor_of(self, name: str) -> Factor | None:
        """The factor that judges a field, the one with most weight where there are several."""
        return self._factor_of_field.get(name)

    @cached_property
    def _factor_of_field(self) -> dict[str | None, Factor]:
        heaviest_last = sorted(reversed(self.factors), key=lambda factor: factor.max_points)
        return {factor.field: factor for factor in heaviest_last}


def parse_values(row: Mapping[str, Any]) -> dict[str, Value]:
    """The allow-listed fields of a mart row that have a value; an unlisted enum value or a negative number has none."""
    values: dict[str, Value] = {}
    for name, item in FIELDS.items():
        raw = row.get(name)
        if raw is None:
            continue
        if item.kind == "enum":
            if raw in item.labels:
                values[name] = str(raw)
        elif raw >= 0:
            values[name] = Decimal(raw) if item.kind == "money" else int(raw)
    return values


def can_claim(profile: AccountProfile, name: str, polarity: Polarity) -> bool:
    """Whether the data bears out that this field speaks for (or against) the account.

    The score's own factor decides where there is one. Of fit, half of the maximum or more is a strength and less is a
    weakness: the least of a list still has points. Of engagement, any points are a strength, less than half of the
    maximum can be a weakness. A missing or zero value is never a strength, nor a visit long ago.
    """
    if polarity == "neutral":
        return True
    value, factor = profile.values.get(name), profile.factor_of(name)
    if polarity == "positive" and (value is None or _is_weak(FIELDS[name].kind, value)):
        return False
    if factor is not None and factor.max_points > 0:
        is_half = factor.points * 2 >= factor.max_points
        if polarity == "negative":
            return not is_half
        return is_half if factor.component == "fit" else factor.points > 0
    if isinstance(value, int) and FIELDS[name].kind == "days":
        return polarity == "positive" or value > _RECENT_DAYS
    return polarity == "positive" or not value


def _is_weak(kind: Kind, value: Value) -> bool:
    """Never a strength: nothing counted, or days long past (a decaying factor keeps crumbs of points for ever)."""
    return value == 0 if kind in ("count", "money") else isinstance(value, int) and value > _STALE_DAYS


def strengths(profile: AccountProfile) -> list[str]:
    """Fields that speak for the account, strongest first."""
    return _judged(profile, "positive")


def weaknesses(profile: AccountProfile) -> list[str]:
    """Fields that speak against the account, most points missed first."""
    strong = set(strengths(profile))
    return [name for name in _judged(profile, "negative") if name not in strong]


def _judged(profile: AccountProfile, polarity: Polarity) -> list[str]:
    def weight(factor: Factor) -> Decimal:
        return factor.points if polarity == "positive" else factor.max_points - factor.points

    ranked = sorted(profile.factors, key=lambda factor: (-weight(factor), factor.factor))
    names = dict.fromkeys(factor.field for factor in ranked if factor.field)
    return [name for name in names if name is not None and can_claim(profile, name, polarity)]
