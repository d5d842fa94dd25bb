"""RavenStack, a made-up data set of SaaS subscriptions (../shared/data/ravenstack_saas): who churns, who upgrades?

Nothing in it is about fleets, and there are no visits: of the baseline only region and industry are left. It tells how
the score behaves where it knows nearly nothing, and what a regression on billing finds.
"""

import csv
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np

from evaluation.marts import SHARED_DATA, Marts
from evaluation.metrics import Flags
from evaluation.periods import WINDOW_DAYS, Outcome, Period, days_before
from evaluation.rankings import Shape
from tests.dbt.dbt_session import REPOSITORY

RAVENSTACK_FOLDER: Final = SHARED_DATA / "ravenstack_saas"
HORIZON: Final = date(2025, 1, 1)
CHURN: Final = "churn"
UPGRADE: Final = "upgrade"
RAVENSTACK_MEANINGS: Final = {
    CHURN: "a customer has a churn event within 90 days (a low score should say so)",
    UPGRADE: "a customer starts a subscription marked as an upgrade within 90 days",
}
RAVENSTACK_SHAPE: Final = Shape(
    words=("industry_of_source", "region"),
    amounts=("subscriptions", "ended", "arr_usd", "seats", "tenure_days"),
    days=("days_since_last_start",),
)

_PERIODS: Final = 4
_MAPPINGS: Final = REPOSITORY / "tests" / "ingest" / "mappings"
_ORDERS: Final = {"hubspot": "mdy", "salesforce": "dmy", "billing": "dmy"}
# What billing knew at the end of the day: an end that comes later isn't known yet.
_CUSTOMERS: Final = """
    select accounts.*, source.industry as industry_of_source, billed.*
    from analytics.dim_accounts as accounts
    inner join raw.salesforce_accounts as source on accounts.salesforce_account_id = source.source_record_id
    inner join (
        select salesforce_account_id as billed_account_id,
            count(case when ended_at is null or ended_at >= {end} then 1 end) as subscriptions,
            count(case when ended_at < {end} then 1 end) as ended,
            sum(case when ended_at is null or ended_at >= {end} then arr_usd else 0 end) as arr_usd,
            max(case when ended_at is null or ended_at >= {end} then seats end) as seats,
            date_diff('day', min(started_at), {end}) as tenure_days,
            date_diff('day', max(started_at), {end}) as days_since_last_start
        from analytics_staging.stg_billing__subscriptions
        where started_at < {end}
        group by salesforce_account_id
    ) as billed on accounts.salesforce_account_id = billed.billed_account_id
    where billed.subscriptions > 0
    order by accounts.account_id
"""


class RavenStack:
    """Lands the exports once, in place; then periods can be read."""

    def __init__(self, folder: Path) -> None:
        self.marts = Marts(folder, {"date_orders": _ORDERS})
        options = {"mapping": "ravenstack", "path": str(RAVENSTACK_FOLDER)}
        self.marts.land({"source": "files", "options": options}, _MAPPINGS)
        self._events = {CHURN: list(_churns()), UPGRADE: list(_upgrades())}
        self.days = days_before(HORIZON, _PERIODS)

    def read_periods(self) -> list[Period]:
        """Customers of each day with what followed, oldest first."""
        return [self._read_period(day) for day in self.days]

    def _read_period(self, day: date) -> Period:
        self.marts.build(day)
        columns = self.marts.read(_CUSTOMERS.format(end=f"timestamp '{day + timedelta(days=1)}'"))
        ids = [str(account_id) for account_id in columns["salesforce_account_id"]]
        asked = np.full(len(ids), True)
        outcomes = {name: Outcome(asked, self._happened(name, ids, day)) for name in self._events}
        return Period(day, columns, outcomes)

    def _happened(self, name: str, ids: list[str], day: date) -> Flags:
        last = day + timedelta(days=WINDOW_DAYS)
        found = {account_id for account_id, at in self._events[name] if day < at <= last}
        return np.array([account_id in found for account_id in ids])


def _churns() -> Iterator[tuple[str, date]]:
    for row in _rows("ravenstack_churn_events"):
        yield row["account_id"], _day(row["churn_date"])


def _upgrades() -> Iterator[tuple[str, date]]:
    for row in _rows("ravenstack_subscriptions"):
        if row["upgrade_flag"] == "TRUE":
            yield row["account_id"], _day(row["start_date"])


def _rows(name: str) -> Iterator[dict[str, Any]]:
    with (RAVENSTACK_FOLDER / f"{name}.csv").open(newline="", encoding="utf-8-sig") as stream:
        yield from csv.DictReader(stream)


def _day(text: str) -> date:
    return datetime.strptime(text, "%d-%m-%Y").date()
