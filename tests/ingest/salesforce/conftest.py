"""A fake Salesforce, a real warehouse and a real Redis, with the `salesforce` source between them."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import sqlalchemy as sa

from services.ingest.adapters.crm_http import Patience
from services.ingest.adapters.salesforce import source as salesforce_source
from services.ingest.adapters.salesforce.bulk import Pace
from services.ingest.domain.raw_schema import source_columns
from services.ingest.domain.salesforce.sobjects import SOBJECTS
from services.ingest.settings import IngestSettings
from shared.settings import queue_settings
from shared.warehouse import Warehouse
from tests.conftest import RedisServer
from tests.fakes.salesforce import FakeSalesforce
from tests.fakes.salesforce_login import CLIENT_ID, CLIENT_SECRET, USERNAME, Login, make_key, to_pem
from tests.fakes.salesforce_org import Org
from tests.ingest.conftest import MemoryJob, Sync
from tests.source_states import MemoryStates

Truth: TypeAlias = dict[str, dict[str, tuple[bool, dict[str, str | None]]]]


@pytest.fixture(scope="session")
def org_key() -> Any:
    """Making one costs more than most tests."""
    return make_key()


@pytest.fixture(scope="session")
def shared_redis(redis_binary: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(redis_binary, tmp_path_factory.mktemp("redis"), "--save", "")
    server.start()
    yield server
    server.client.close()
    server.stop()


@pytest.fixture
def salesforce(org_key: Any, shared_redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSalesforce]:
    shared_redis.client.flushall()
    monkeypatch.setenv("REDIS_URL", shared_redis.url)
    queue_settings.cache_clear()
    monkeypatch.setattr(salesforce_source, "PATIENCE", Patience(tries=6, first_pause=0.001, longest_pause=0.002))
    monkeypatch.setattr(salesforce_source, "PACE", Pace(0.001, 0.002))
    monkeypatch.setattr(salesforce_source, "REQUESTS", 100_000)
    with FakeSalesforce(login=Login(org_key)) as server:
        yield server
    queue_settings.cache_clear()


@pytest.fixture
def settings(tmp_path: Path, salesforce: FakeSalesforce) -> IngestSettings:
    """Client credentials."""
    return IngestSettings(
        GTM_DATA_DIR=tmp_path / "var",
        GTM_SALESFORCE_LOGIN_URL=salesforce.url,
        GTM_SALESFORCE_CLIENT_ID=CLIENT_ID,
        GTM_SALESFORCE_CLIENT_SECRET=CLIENT_SECRET,
    )


@pytest.fixture
def with_key(settings: IngestSettings, salesforce: FakeSalesforce, tmp_path: Path) -> dict[str, Any]:
    """What makes the settings those of a JWT bearer login."""
    path = tmp_path / "salesforce.pem"
    path.write_bytes(to_pem(salesforce.login.key))
    return {"salesforce_private_key_file": path, "salesforce_username": USERNAME, "salesforce_client_secret": None}


@pytest.fixture
def org(salesforce: FakeSalesforce) -> Org:
    return salesforce.org


SalesforceSync: TypeAlias = Callable[..., dict[str, Any]]


@pytest.fixture
def pull(sync: Sync) -> SalesforceSync:
    """A sync of some objects, each call a job of its own unless told."""
    numbers = iter(range(1, 1_000_000))

    def run(*objects: str, job_id: str | None = None, options: Mapping[str, Any] | None = None, **more: Any) -> Any:
        chosen = {"objects": list(objects)} if objects else {}
        return sync("salesforce", {**chosen, **(options or {})}, job_id=job_id or f"job-{next(numbers)}", **more)

    return run


def truth_of(org: Org, *names: str) -> Truth:
    """What RAW must hold, by table and id: whether it is deleted, and the texts of its columns that are no numbers.

    Records that are gone for good are not in it: RAW must have them as deleted, or not at all.
    """
    truth: Truth = {}
    for name in names or SOBJECTS:
        sobject, kind = SOBJECTS[name], org.objects[name]
        texts = {field.name for field in kind.fields if field.type not in _UNCOMPARED}
        rows = truth.setdefault(sobject.table, {})
        for record in org.all(name):
            values = {}
            for column in source_columns(sobject.table):
                field = _FIELDS.get(column, "".join(part.capitalize() for part in column.split("_")))
                if field in texts:
                    value = record.get(field)
                    values[column] = str(value).lower() if isinstance(value, bool) else value
            rows[record["Id"]] = (record["IsDeleted"], values)
    return truth


_UNCOMPARED = {"currency", "percent", "double", "int", "address", "location"}
_FIELDS = {"hubspot_company_id": "HubSpot_Company_Id__c"}


def check_truth(warehouse: Warehouse, org: Org, *names: str) -> None:
    """RAW equals the org, tombstones included."""
    for table, rows in truth_of(org, *names).items():
        with warehouse.core() as connection:
            found = connection.execute(sa.text(f"select * from raw.{table}")).mappings().all()
        stored = {row["source_record_id"]: row for row in found}
        assert len(stored) == len(found), f"{table}: a record twice"
        missing = [id for id in rows if id not in stored]
        assert not missing, f"{table} lacks {missing}"
        for id, row in stored.items():
            is_deleted, values = rows.get(id, (True, {}))
            assert row["is_deleted"] == is_deleted, f"{table} {id}: is_deleted {row['is_deleted']}"
            differing = {name: (row[name], value) for name, value in values.items() if row[name] != value}
            assert not differing, f"{table} {id}: {differing}"


__all__ = ["MemoryJob", "MemoryStates", "SalesforceSync", "check_truth", "truth_of"]
