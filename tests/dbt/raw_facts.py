"""What was won and what runs, read from the text in RAW by plain Python: the other side of the books."""

import re
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import duckdb

Row = dict[str, Any]
_NOTHING = ("", "null", "none", "nan", "n/a", "na", "-")


def read_won_cents(connection: duckdb.DuckDBPyConnection, variables: Mapping[str, Any]) -> dict[str | None, int]:
    """Cents by month (`2026-02`, None without a close) of won opportunities and of deals that Salesforce hasn't."""
    order = variables.get("date_orders", {}).get("salesforce", "mdy")
    opportunities = _read(connection, "salesforce_opportunities")
    cents: defaultdict[str | None, int] = defaultdict(int)
    for row in opportunities:
        stage = (_clean(row["stage_name"]) or "").lower()
        won = _flag(row["is_won"]) if _clean(row["is_won"]) else stage == "closed won"
        if won and not row["is_deleted"]:
            currency = _clean(row["currency_iso_code"])
            cents[_month(row["close_date"], order)] += _cents(row["amount"], currency, variables)
    order = variables.get("date_orders", {}).get("hubspot", "mdy")
    living = {_salesforce_id(row["id"]) for row in opportunities if not row["is_deleted"]}
    for row in _read_unsynced_deals(connection, living, order):
        cents[_month(row["closedate"], order)] += _cents(row["amount"], _clean(row["deal_currency_code"]), variables)
    return dict(cents)


def read_running_arr(connection: duckdb.DuckDBPyConnection, variables: Mapping[str, Any], day: date) -> Decimal:
    """Dollars of the subscriptions that run at the end of the day."""
    order = variables.get("date_orders", {}).get("billing", "mdy")
    total = 0
    for row in _read(connection, "billing_subscriptions"):
        start, end = _date(row["started_at"], order), _date(row["ended_at"], order)
        assert start is not None
        if not row["is_deleted"] and start <= day and (end is None or (end > day and end > start)):
            total += _cents(row["arr"], _clean(row["currency"]), variables)
    return Decimal(total) / 100


def _read_unsynced_deals(connection: duckdb.DuckDBPyConnection, opportunities: set[str], order: str) -> list[Row]:
    """Won deals that live, are no copy of an opportunity, and were not merged into another one."""
    records = _read(connection, "hubspot_deals")
    stages = {row["id"]: row for row in _read(connection, "hubspot_pipeline_stages")}
    live = {row["source_record_id"] for row in records if not row["is_deleted"]}
    claims = [
        (merged, row["source_record_id"])
        for row in records
        for merged in re.split(r"[;,]", _clean(row["hs_merged_object_ids"]) or "")
    ]
    claims += [
        (_clean(row["merged_id"]), _clean(row["surviving_id"])) for row in _read(connection, "hubspot_deal_merges")
    ]
    into = {merged: survivor for merged, survivor in claims if merged and merged != survivor}
    survivors = {row["source_record_id"]: _end(row["source_record_id"], into, live) for row in records}
    copies: dict[str, set[str]] = {}
    for row in records:
        copies.setdefault(_salesforce_id(row["salesforce_opportunity_id"]), set()).add(
            survivors[row["source_record_id"]]
        )
    created = {row["source_record_id"]: _date(row["createdate"], order) or date.max for row in records}
    # Of several that name one opportunity the oldest is its copy.
    synced = {
        min(named & live, key=lambda deal: (created[deal], deal))
        for opportunity, named in copies.items()
        if opportunity in opportunities and named & live
    }
    return [
        row
        for row in records
        if row["source_record_id"] in live
        and survivors[row["source_record_id"]] == row["source_record_id"]
        and row["source_record_id"] not in synced
        and _is_won(row, stages)
    ]


def _end(record: str, into: Mapping[str, str], live: set[str]) -> str:
    """The last live record of a chain of merges; the record itself when none lives."""
    end, passed = record, {record}
    following = into.get(record)
    while following is not None and following not in passed:
        passed.add(following)
        end = following if following in live else end
        following = into.get(following)
    return end


def _is_won(row: Row, stages: Mapping[str, Row]) -> bool:
    for value in (row["hs_is_closed_won"], stages.get(row["dealstage"] or "", {}).get("closed_won")):
        if _clean(value):
            return _flag(value)
    if _clean(row["hs_is_closed"]) and not _flag(row["hs_is_closed"]):
        return False
    return (_clean(row["dealstage"]) or "").lower().replace(" ", "") == "closedwon"


def _read(connection: duckdb.DuckDBPyConnection, table: str) -> list[Row]:
    """Rows of RAW that are not in quarantine."""
    cursor = connection.execute(
        f"select * from raw.{table} where source_record_id not in"
        f" (select source_record_id from analytics.quarantine_rows where source_table = '{table}')"
    )
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row)) for row in cursor.fetchall()]


def _clean(text: str | None) -> str | None:
    bare = (text or "").replace("\xa0", " ").strip()
    return None if bare.lower() in _NOTHING else bare


def _flag(text: str | None) -> bool:
    return (_clean(text) or "").lower() in ("true", "t", "yes", "y", "1")


def _salesforce_id(text: str | None) -> str:
    """The 15 characters that are the id."""
    return (_clean(text) or "")[:15]


def _cents(text: str | None, currency: str | None, variables: Mapping[str, Any]) -> int:
    bare = _clean(text)
    if bare is None:
        return 0
    sign = "EUR" if "€" in bare else "USD"
    if re.search(r",\d{1,2}\D*$", bare):  # a decimal comma
        bare = bare.replace(".", "").replace(",", ".")
    amount = Decimal(re.sub(r"[^0-9.eE+-]", "", re.sub(r"[A-DF-Z€$]|EUR|USD", "", bare.upper())))
    rate = Decimal(str(variables["usd_exchange_rates"][(currency or sign).upper()]))
    dollars = amount.quantize(Decimal("0.01"), ROUND_HALF_UP) * rate
    return int((dollars.quantize(Decimal("0.01"), ROUND_HALF_UP) * 100).to_integral())


def _month(text: str | None, order: str) -> str | None:
    day = _date(text, order)
    return None if day is None else f"{day:%Y-%m}"


def _date(text: str | None, order: str) -> date | None:
    bare = _clean(text)
    if bare is None:
        return None
    if re.fullmatch(r"\d{12,13}", bare):
        return datetime.fromtimestamp(int(bare) / 1000, UTC).date()
    if re.fullmatch(r"\d{5}(\.\d+)?", bare):  # a spreadsheet's days
        return date(1899, 12, 30) + timedelta(days=int(bare.split(".")[0]))
    if match := re.match(r"(\d{1,2})[/-](\d{1,2})[/-](\d{4})", bare):
        first, second, year = map(int, match.groups())
        return date(year, first, second) if order == "mdy" else date(year, second, first)
    return date.fromisoformat(bare[:10])
