"""ARR movements of 5,000 subscriptions that no one here made, against the same movements counted by hand in Python."""

import csv
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.transform.builds import AS_OF, REPOSITORY, BuiltTwice, RecordingJob, copy_of
from tests.transform.raw_rows import land_rows

RAVENSTACK = REPOSITORY.parent / "shared" / "data" / "ravenstack_saas"
KINDS = ("new", "expansion", "contraction", "churned", "reactivated")


class Subscription(NamedTuple):
    record_id: str
    company_id: str
    arr: str
    started_on: date
    ended_on: date | None


class Movement(NamedTuple):
    opening: Decimal
    kind: str | None
    closing: Decimal


@pytest.mark.shared_data
@pytest.mark.long
@pytest.mark.skipif(not RAVENSTACK.is_dir(), reason="third-party data is not beside this checkout (../shared/data)")
def test_movements_tie_to_the_subscriptions(built: BuiltTwice, tmp_path: Path) -> None:
    subscriptions = list(_read_subscriptions())
    house = copy_of(built.house, tmp_path / "ravenstack")
    land_rows(
        house.warehouse,
        {
            "hubspot_companies": [
                {"id": company_id, "load_id": "load-2"} for company_id in {row.company_id for row in subscriptions}
            ],
            "billing_subscriptions": [
                {
                    "id": row.record_id,
                    "hubspot_company_id": row.company_id,
                    "arr": row.arr,
                    "started_at": row.started_on.isoformat(),
                    "ended_at": row.ended_on.isoformat() if row.ended_on else None,
                    "load_id": "load-2",
                }
                for row in subscriptions
            ],
        },
    )
    result = house.build(RecordingJob("ravenstack"))
    assert result["nodes"]["failed"] == result["nodes"]["skipped"] == 0

    amounts = ", ".join(f"{kind}_arr_usd" for kind in KINDS)
    found = {
        (account_id, month): Movement(opening, _kind(moved), closing)
        for account_id, month, opening, closing, *moved in house.rows(
            f"select account_id, month, opening_arr_usd, closing_arr_usd, {amounts} from analytics.fct_arr_movements"
            " where account_id like 'hubspot:A-%'"
        )
    }
    assert len(subscriptions) == 5000
    assert found == dict(_count_movements(subscriptions))


def _read_subscriptions() -> Iterator[Subscription]:
    with (RAVENSTACK / "ravenstack_subscriptions.csv").open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            yield Subscription(
                row["subscription_id"],
                row["account_id"],
                row["arr_amount"],
                _day(row["start_date"]),
                _day(row["end_date"]) if row["end_date"] else None,
            )


def _day(text: str) -> date:
    return datetime.strptime(text, "%d-%m-%Y").date()


def _kind(amounts: list[Decimal]) -> str | None:
    """The one kind of movement of a row; an account moves one way a month."""
    kinds = [kind for kind, amount in zip(KINDS, amounts, strict=True) if amount]
    assert len(kinds) <= 1
    return kinds[0] if kinds else None


def _count_movements(subscriptions: list[Subscription]) -> Iterator[tuple[tuple[str, date], Movement]]:
    """Month by month what runs after its last day: no running totals, so that it can't be wrong the same way."""
    of_account = defaultdict(list)
    for row in subscriptions:
        of_account[f"hubspot:{row.company_id}"].append(row)
    for account_id, rows in of_account.items():
        opening, had_arr = Decimal(0), False
        for month in _months(min(row.started_on for row in rows)):
            last_day = min(_next_month(month) - timedelta(days=1), AS_OF)
            closing = sum((Decimal(row.arr) for row in rows if _runs_after(row, last_day)), Decimal(0))
            if opening or closing:
                yield (account_id, month), Movement(opening, _movement(opening, closing, had_arr), closing)
            opening, had_arr = closing, had_arr or closing > 0


def _runs_after(row: Subscription, day: date) -> bool:
    return row.started_on <= day and (row.ended_on is None or row.ended_on > day)


def _movement(opening: Decimal, closing: Decimal, had_arr: bool) -> str | None:
    if closing == opening:
        return None
    if not opening:
        return "reactivated" if had_arr else "new"
    if not closing:
        return "churned"
    return "expansion" if closing > opening else "contraction"


def _months(first_day: date) -> Iterator[date]:
    month = first_day.replace(day=1)
    while month <= AS_OF:
        yield month
        month = _next_month(month)


def _next_month(month: date) -> date:
    return (month.replace(day=28) + timedelta(days=4)).replace(day=1)
