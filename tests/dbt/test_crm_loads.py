"""From both CRMs' APIs into the marts: what went away is gone, and guards tell a quiet sync from a broken source."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest

from services.ingest.adapters.crm_http import Patience
from services.ingest.adapters.hubspot import api
from services.ingest.adapters.salesforce import source as salesforce_source
from services.ingest.adapters.salesforce.bulk import Pace
from services.ingest.flow import sync_source
from services.ingest.settings import IngestSettings
from services.transform.adapters.public_suffixes import ensure_public_suffixes
from shared.errors import TerminalError
from shared.settings import WarehouseSettings
from shared.warehouse import open_warehouse
from tests.conftest import RedisServer
from tests.fakes.hubspot import TOKEN, FakeHubSpot
from tests.fakes.salesforce import FakeSalesforce
from tests.fakes.salesforce_login import CLIENT_ID, CLIENT_SECRET, Login, make_key
from tests.source_states import MemoryStates
from tests.transform.builds import REPOSITORY, RecordingJob

SOURCES = ("hubspot", "salesforce")
CHECKS = "select check_name, source, source_table, outcome from analytics.fct_source_checks where outcome <> 'pass'"


@dataclass
class Crms:
    """Both CRMs, a warehouse that syncs fill, and copies of it as it was at some moments."""

    hubspot: FakeHubSpot
    salesforce: FakeSalesforce
    folder: Path
    copies: dict[str, Path] = field(default_factory=dict)
    syncs: int = 0

    def __post_init__(self) -> None:
        self.warehouse = open_warehouse(WarehouseSettings(GTM_WAREHOUSE="duckdb", GTM_DATA_DIR=self.folder))
        self.states = MemoryStates()
        self.settings = IngestSettings(
            GTM_DATA_DIR=self.folder,
            GTM_HUBSPOT_URL=self.hubspot.url,
            GTM_HUBSPOT_TOKEN=TOKEN,
            GTM_HUBSPOT_REQUESTS_PER_10_SECONDS=1_000_000,
            GTM_SALESFORCE_LOGIN_URL=self.salesforce.url,
            GTM_SALESFORCE_CLIENT_ID=CLIENT_ID,
            GTM_SALESFORCE_CLIENT_SECRET=CLIENT_SECRET,
        )

    def sync(self, source: str, **request: Any) -> str:
        """Gives the load's id. Both CRMs' clocks go on by ten minutes, more than what a sync reads again."""
        self.syncs += 1
        self.states.job_id = f"load-{self.syncs}"
        self.hubspot.portal.now += 600_000
        self.salesforce.org.tick(600)
        job = RecordingJob(self.states.job_id, {"source": source, **request})
        sync_source(job, self.warehouse, self.settings, self.states)
        return job.job_id

    def keep(self, name: str) -> None:
        """A copy of the warehouse as it is."""
        ensure_public_suffixes(self.warehouse)
        with self.warehouse.reserve_core() as environment:
            original = Path(environment["GTM_DUCKDB_CORE_PATH"])
            self.copies[name] = self.folder / name / original.name  # which is what DuckDB calls the database
            self.copies[name].parent.mkdir()
            shutil.copy(original, self.copies[name])

    def ask(self, name: str, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a copy."""
        with duckdb.connect(str(self.copies[name]), read_only=True) as connection:
            return connection.execute(sql).fetchall()


def build(files: Iterable[Path], **variables: float) -> None:
    """All models, in these copies; dbt starts once."""
    given = [f"--variable={name}={value}" for name, value in variables.items()]
    command = [sys.executable, "-m", "tests.dbt.build_copies", *given, *map(str, files)]
    outcome = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=170)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


@pytest.fixture
def open_crms(
    tmp_path: Path, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Crms]]:
    monkeypatch.setattr(api, "SEARCHES_PER_SECOND", 10_000)
    monkeypatch.setattr(salesforce_source, "PATIENCE", Patience(tries=6, first_pause=0.001, longest_pause=0.002))
    monkeypatch.setattr(salesforce_source, "PACE", Pace(0.001, 0.002))
    key = make_key()
    with ExitStack() as servers:
        yield lambda name: Crms(
            servers.enter_context(FakeHubSpot()),
            servers.enter_context(FakeSalesforce(login=Login(key))),
            tmp_path / name,
        )


@pytest.mark.long
def test_what_leaves_the_crms_leaves_the_marts_and_guards_tell_quiet_from_broken(
    open_crms: Callable[[str], Crms],
) -> None:
    leaving, shrinking = open_crms("leaving"), open_crms("shrinking")
    contact, quiet = _let_records_leave(leaving)
    _lose_records(shrinking)
    build([*leaving.copies.values(), *shrinking.copies.values()], volume_min_share=0.7)
    _check_what_left(leaving, contact)
    _check_quiet(leaving, quiet)
    failed = [("volume", "hubspot", "hubspot_companies", "fail")]
    living = "select count(*) from analytics.dim_accounts"
    assert (shrinking.ask("less", CHECKS), shrinking.ask("less", living)) == (failed, [(36,)])
    assert (shrinking.ask("accepted", CHECKS), shrinking.ask("accepted", living)) == ([], [(12,)])


def _let_records_leave(crms: Crms) -> tuple[int, list[str]]:
    """A contact loses its company, a deal is archived, its owner has left, a role and a meeting are deleted.

    Returns:
        The contact, and the syncs that found nothing.
    """
    portal, org = crms.hubspot.portal, crms.salesforce.org
    owner = crms.hubspot.activity.add_owner("sam@own.example")
    company = portal.create("companies", name="Acme", domain="acme.example")
    contact = portal.create("contacts", email="ann@gmail.com")
    _, goes = (portal.create("deals", dealname=name, amount="10.5", hubspot_owner_id=owner) for name in "ab")
    portal.link("contacts", contact.id, "companies", company.id, "Advisor")
    portal.link("deals", goes.id, "companies", company.id)
    user = org.insert("User", Name="Flo Ash", IsActive=False)
    person = org.insert("Contact", AccountId=org.insert("Account", Name="Beta"), Email="bob@beta.example")
    deal = org.insert("Opportunity", Name="c", StageName="Proposal", IsClosed=False, OwnerId=user)
    role = org.insert("OpportunityContactRole", OpportunityId=deal, ContactId=person)
    event = org.insert("Event", WhoId=person, DurationInMinutes=30, ActivityDateTime="2026-03-01T10:00:00.000+0000")
    for source in SOURCES:
        crms.sync(source)
    quiet = [crms.sync(source) for source in SOURCES]
    crms.keep("before")
    portal.unlink("contacts", contact.id, "companies", company.id)
    portal.archive("deals", goes.id)
    crms.hubspot.activity.activity.owners[owner]["archived"] = True
    org.delete("OpportunityContactRole", role)
    org.delete("Event", event)
    for source in SOURCES:
        crms.sync(source)
    crms.keep("after")
    return contact.id, quiet


def _check_what_left(crms: Crms, contact: int) -> None:
    opportunities = (
        "select opportunity_name, account_id is not null, owner_name from analytics.fct_opportunities order by 1"
    )
    assert crms.ask("before", opportunities) == [
        ("a", False, "sam Owner"),
        ("b", True, "sam Owner"),
        ("c", True, "Flo Ash"),
    ]
    assert crms.ask("after", opportunities) == [("a", False, "sam Owner"), ("c", False, "Flo Ash")]
    person = (
        f"select account_id is null, match_method from analytics.dim_contacts where hubspot_contact_id = '{contact}'"
    )
    assert crms.ask("before", person) == [(False, "account_reference")]
    assert crms.ask("after", person) == [(True, "none")]
    events = "select starts_at::text, duration_minutes, is_deleted from analytics_staging.stg_salesforce__events"
    assert crms.ask("before", events) == [("2026-03-01 10:00:00", 30, False)]
    assert crms.ask("after", events) == [("2026-03-01 10:00:00", 30, True)]


def _check_quiet(crms: Crms, loads: Sequence[str]) -> None:
    """The syncs that found nothing are what the source is fresh by, and no volume."""
    counted = (
        "select load_id, seen, inserted + updated + deleted, is_complete from raw.loads where source_table in"
        f" ('hubspot_deals', 'salesforce_opportunities') and load_id in ('{loads[0]}', '{loads[1]}') order by 1"
    )
    assert crms.ask("before", counted) == [(load, 0, 0, False) for load in loads]
    stamps = "select source, max(loaded_at) from raw.loads where load_id in ('{}', '{}') group by source order by 1"
    fresh = "select source, loaded_at from analytics.fct_source_checks where check_name = 'freshness' order by 1"
    assert crms.ask("before", fresh) == crms.ask("before", stamps.format(*loads))
    assert crms.ask("before", CHECKS) == crms.ask("after", CHECKS) == []


def _lose_records(crms: Crms) -> None:
    """Of 60 companies 24 go without a word, which a whole reading finds; then 24 more, which is too much to believe."""
    portal = crms.hubspot.portal
    ids = [portal.create("companies", name=f"Company {number}").id for number in range(60)]
    companies: dict[str, Any] = {"source": "hubspot", "options": {"objects": ["companies"]}}
    crms.sync(**companies)
    for one in ids[:24]:
        portal.purge("companies", one)
    crms.sync(**companies, mode="full")
    crms.sync(**companies)
    crms.keep("less")
    for one in ids[24:48]:
        portal.purge("companies", one)
    with pytest.raises(TerminalError) as caught:
        crms.sync(**companies, mode="full")
    assert caught.value.code == "source-shrank"
    crms.sync(**companies, mode="full", accept_volume=True)
    crms.sync(**companies)
    crms.keep("accepted")
