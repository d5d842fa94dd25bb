"""The baseline score's weights: the shape of config/scoring_weights.yml and the rows that dbt gets of it.

`int_scoring_weights` (dbt_transform) holds the rows, `int_account_factors` applies them.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

Points = Annotated[Decimal, Field(ge=-50, le=50, max_digits=4, decimal_places=2)]
WeightRow = dict[str, str | bool | None]

# The words that dbt's vocabulary macros give; `unknown` has a place of its own in the file.
Industry = Literal[
    "construction",
    "logistics",
    "field_services",
    "utilities",
    "public_sector",
    "retail",
    "agriculture",
    "food_and_beverage",
    "software",
    "other",
]
Region = Literal["north_america", "europe", "asia_pacific", "latin_america", "other"]
VehicleType = Literal["vans", "trucks", "cars", "mixed", "heavy_equipment"]

_MAX_TEXT: Final = 200


def _plain_template(text: str) -> str:
    """Refuse what SQL literals of the two warehouses read differently, and slots that nobody fills."""
    if "\\" in text:
        raise ValueError("no backslash")
    if "{" in text.replace("{value}", "") or "}" in text.replace("{value}", ""):
        raise ValueError("the only slot is {value}")
    return text


Explanation = Annotated[str, Field(min_length=1, max_length=_MAX_TEXT), AfterValidator(_plain_template)]


class _Weights(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Unknown(_Weights):
    """What an account gets that has no value."""

    points: Points
    explanation: Explanation


class _Factor(_Weights):
    explanation: Explanation
    unknown: Unknown


class Band(_Weights):
    """Numbers from `start` (inclusive) up to the next band's."""

    start: Annotated[Decimal, Field(alias="from", ge=0, max_digits=16, decimal_places=2)]
    points: Points
    explanation: Explanation | None = None


class BandFactor(_Factor):
    """Points by a number's band."""

    bands: list[Band] = Field(min_length=1)

    @model_validator(mode="after")
    def _ascending(self) -> "BandFactor":
        starts = [band.start for band in self.bands]
        if starts != sorted(set(starts)):
            raise ValueError(f"bands must ascend by `from`, each once; found {', '.join(map(str, starts))}")
        return self


class DecayFactor(_Factor):
    """All the points for 0 days, half of them after each half life."""

    points: Points
    half_life_days: Annotated[Decimal, Field(gt=0, le=3650, max_digits=9, decimal_places=2)]


class _WordFactor(_Factor):
    def word_points(self) -> Mapping[str, Decimal]:
        words: Mapping[str, Decimal] = getattr(self, "words")
        return words


def _complete(vocabulary: Any) -> AfterValidator:
    def check(words: Mapping[str, Decimal]) -> Mapping[str, Decimal]:
        missing = [word for word in get_args(vocabulary) if word not in words]
        if missing:
            raise ValueError(f"points are missing for {', '.join(missing)}")
        return words

    return AfterValidator(check)


class IndustryFactor(_WordFactor):
    words: Annotated[dict[Industry, Points], _complete(Industry)]


class RegionFactor(_WordFactor):
    words: Annotated[dict[Region, Points], _complete(Region)]


class VehicleTypeFactor(_WordFactor):
    words: Annotated[dict[VehicleType, Points], _complete(VehicleType)]


class FitWeights(_Weights):
    """Can they use the product? The factor names are those of dbt's `int_account_factor_values`."""

    industry: IndustryFactor
    fleet_size: BandFactor
    employees: BandFactor
    region: RegionFactor
    vehicle_type: VehicleTypeFactor


class EngagementWeights(_Weights):
    """Do they look for it now?"""

    open_opportunities: BandFactor
    open_pipeline: BandFactor
    recent_visits: BandFactor
    visits: BandFactor
    high_intent_visits: BandFactor
    recency: DecayFactor
    engaged_contacts: BandFactor


class ScoringWeights(_Weights):
    """The whole file."""

    fit: FitWeights
    engagement: EngagementWeights

    def to_rows(self) -> list[WeightRow]:
        """One row per word, band or fallback, in the columns of `int_scoring_weights`; numbers as text, so exact."""
        rows: list[WeightRow] = []
        for component in ("fit", "engagement"):
            factors: FitWeights | EngagementWeights = getattr(self, component)
            for name in type(factors).model_fields:
                rows.extend({"component": component, "factor": name, **row} for row in _rows_of(getattr(factors, name)))
        return rows


def _rows_of(factor: _Factor) -> Iterator[WeightRow]:
    weighed = list(_weighed_rows(factor))
    most = max(Decimal(str(row["points"])) for row in weighed)
    fallback = _row(factor.unknown.points, factor.unknown.explanation, is_fallback=True)
    for row in [*weighed, fallback]:
        yield {**row, "max_points": str(most)}


def _weighed_rows(factor: _Factor) -> Iterator[WeightRow]:
    if isinstance(factor, _WordFactor):
        for word, points in factor.word_points().items():
            yield _row(points, factor.explanation, value_text=word)
    elif isinstance(factor, DecayFactor):
        yield _row(factor.points, factor.explanation, from_value=Decimal(0), half_life_days=str(factor.half_life_days))
    elif isinstance(factor, BandFactor):
        ends = [*(band.start for band in factor.bands[1:]), None]
        for band, end in zip(factor.bands, ends, strict=True):
            text = band.explanation or factor.explanation
            yield _row(band.points, text, from_value=band.start, to_value=end)


def _row(
    points: Decimal,
    explanation: str,
    *,
    value_text: str | None = None,
    from_value: Decimal | None = None,
    to_value: Decimal | None = None,
    half_life_days: str | None = None,
    is_fallback: bool = False,
) -> WeightRow:
    return {
        "value_text": value_text,
        "from_value": None if from_value is None else str(from_value),
        "to_value": None if to_value is None else str(to_value),
        "half_life_days": half_life_days,
        "is_fallback": is_fallback,
        "points": str(points),
        "explanation": explanation,
    }
