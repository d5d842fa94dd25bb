"""Settings of the transform service alone."""

import json
import re
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator
from pydantic_settings import NoDecode

from shared.settings import EnvSettings

Share = Annotated[Decimal, Field(gt=0, le=1, max_digits=9, decimal_places=6)]
DateOrder = Literal["mdy", "dmy"]
Source = Literal["hubspot", "salesforce", "billing"]

_IDENTIFIER = re.compile(r"([A-Za-z_][A-Za-z0-9_$]*)?")
_SIZE = re.compile(r"[1-9][0-9]*(MB|GB|MiB|GiB)")


def _parse_object(value: Any) -> Any:
    """Here instead of in pydantic-settings, whose message doesn't say what is wanted."""
    if not isinstance(value, str):
        return value
    try:
        parsed = json.loads(value, parse_float=Decimal)
    except ValueError as error:
        raise ValueError(f'not JSON ({error}); write it like {{"EUR": 1.08}} or {{"billing": "dmy"}}') from None
    if not isinstance(parsed, dict):
        raise ValueError('write an object, like {"EUR": 1.08} or {"billing": "dmy"}')
    return parsed


def _size(value: str) -> str:
    if not _SIZE.fullmatch(value):
        raise ValueError("write a size like 2500MB or 3GB")
    return value


def _warehouse_name(value: str) -> str:
    if not _IDENTIFIER.fullmatch(value):
        raise ValueError("write the name of a warehouse of Snowflake, like GTM_LARGE, without quotes")
    return value


JsonObject = (NoDecode, BeforeValidator(_parse_object))


class TransformSettings(EnvSettings):
    """Where dbt's project, its weights and its working files are, and what of the project is a setting.

    The defaults of the latter are those of dbt_transform/dbt_project.yml (a test compares them).
    """

    data_dir: Path = Field(Path("var"), validation_alias="GTM_DATA_DIR")
    dbt_project_dir: Path = Field(Path("dbt_transform"), validation_alias="GTM_DBT_PROJECT_DIR")
    scoring_weights_path: Path = Field(Path("config/scoring_weights.yml"), validation_alias="GTM_SCORING_WEIGHTS")
    dbt_threads: int = Field(4, ge=1, le=64, validation_alias="GTM_DBT_THREADS")
    dbt_stop_seconds: float = Field(10, gt=0, validation_alias="GTM_DBT_STOP_SECONDS")
    """How long a cancelled dbt may take to cancel its queries before it is killed."""
    duckdb_memory_limit: Annotated[str, AfterValidator(_size)] = Field(
        "2500MB", validation_alias="GTM_DUCKDB_MEMORY_LIMIT"
    )
    """DuckDB's part of what a build takes; dbt itself, and what DuckDB does not count, take about 1 GB more."""
    dbt_warehouse_large: Annotated[str, AfterValidator(_warehouse_name)] = Field(
        "", validation_alias="GTM_DBT_WAREHOUSE_LARGE"
    )
    """Snowflake's virtual warehouse for the models over events and attribution; empty: SNOWFLAKE_WAREHOUSE for all."""
    dbt_cluster_events: bool = Field(False, validation_alias="GTM_DBT_CLUSTER_EVENTS")
    """Snowflake: cluster the tables of visits and touches by day. Counts when they are next built from nothing."""
    as_of_date: date | None = Field(None, validation_alias="GTM_AS_OF_DATE")
    """The day that all windows end on; the UTC day of the build when None. For judging scores on past data."""

    usd_exchange_rates: Annotated[dict[str, Annotated[Decimal, Field(gt=0)]], *JsonObject] = Field(
        {"USD": Decimal(1)}, validation_alias="GTM_USD_EXCHANGE_RATES"
    )
    date_orders: Annotated[dict[Source, DateOrder], *JsonObject] = Field(
        default_factory=dict, validation_alias="GTM_DATE_ORDERS"
    )
    quarantine_warn_share: Share = Field(Decimal("0.10"), validation_alias="GTM_QUARANTINE_WARN_SHARE")
    quarantine_fail_share: Share = Field(Decimal("0.50"), validation_alias="GTM_QUARANTINE_FAIL_SHARE")
    volume_min_share: Share = Field(Decimal("0.50"), validation_alias="GTM_VOLUME_MIN_SHARE")
    source_max_age_hours: int = Field(72, ge=1, le=87_600, validation_alias="GTM_SOURCE_MAX_AGE_HOURS")
    attribution_window_days: int = Field(90, ge=1, le=3650, validation_alias="GTM_ATTRIBUTION_WINDOW_DAYS")
    time_decay_half_life_days: Annotated[Decimal, Field(gt=0, le=3650, max_digits=9, decimal_places=2)] = Field(
        Decimal(7), validation_alias="GTM_TIME_DECAY_HALF_LIFE_DAYS"
    )
    arr_contract_months: int | None = Field(None, ge=1, le=240, validation_alias="GTM_ARR_CONTRACT_MONTHS")

    @field_validator("usd_exchange_rates")
    @classmethod
    def _codes_and_a_dollar(cls, rates: dict[str, Decimal]) -> dict[str, Decimal]:
        wrong = [
            code for code in rates if not (len(code) == 3 and code.isascii() and code.isalpha() and code.isupper())
        ]
        if wrong:
            raise ValueError(f"{wrong[0]!r} is no currency code; codes are like EUR: three capital letters")
        if rates.setdefault("USD", Decimal(1)) != 1:
            raise ValueError("one USD is 1 dollar: leave USD out, or say 1")
        return rates

    @model_validator(mode="after")
    def _warns_before_it_fails(self) -> "TransformSettings":
        if self.quarantine_warn_share > self.quarantine_fail_share:
            raise ValueError("GTM_QUARANTINE_WARN_SHARE must not be above GTM_QUARANTINE_FAIL_SHARE")
        return self

    @property
    def dbt_dir(self) -> Path:
        """dbt's own files: one folder per build under `runs`, and the parsed project that builds share."""
        return self.data_dir / "dbt"

    @property
    def dbt_docs_path(self) -> Path:
        """The project's documentation, one self-contained page."""
        return self.dbt_dir / "docs.html"

    def to_environment(self) -> dict[str, str]:
        """What the project reads of the environment: how Snowflake builds, which changes no row of what is built."""
        return {
            "GTM_DBT_WAREHOUSE_LARGE": self.dbt_warehouse_large,
            "GTM_DBT_CLUSTER_EVENTS": "true" if self.dbt_cluster_events else "false",
        }

    def to_variables(self) -> dict[str, Any]:
        """dbt's vars. Rates are plain text, so that SQL gets the decimal 0.0000125 and not the float 1.25e-05."""
        orders = {"hubspot": "mdy", "salesforce": "mdy", "billing": "mdy"} | dict(self.date_orders)
        variables: dict[str, Any] = {
            "usd_exchange_rates": {code: f"{rate:f}" for code, rate in sorted(self.usd_exchange_rates.items())},
            "date_orders": orders,
            "quarantine_warn_share": float(self.quarantine_warn_share),
            "quarantine_fail_share": float(self.quarantine_fail_share),
            "volume_min_share": float(self.volume_min_share),
            "source_max_age_hours": self.source_max_age_hours,
            "attribution_window_days": self.attribution_window_days,
            "time_decay_half_life_days": float(self.time_decay_half_life_days),
            "arr_contract_months": self.arr_contract_months,
        }
        return variables | ({"as_of_date": self.as_of_date.isoformat()} if self.as_of_date else {})


@lru_cache
def transform_settings() -> TransformSettings:
    """Read once a process; tests clear the cache."""
    return TransformSettings()
