"""`gtm doctor` on one machine: DuckDB's files, Redis, the operations database, dbt, the model's hosts."""

import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from cli.main import app
from shared.doctor.duckdb import examine_duckdb
from shared.doctor.findings import Finding
from shared.doctor.surroundings import SurroundingSettings, examine_models, examine_operations, examine_redis
from shared.operations.database import OperationsDatabase
from shared.settings import OperationsSettings, QueueSettings, WarehouseSettings
from shared.warehouse import engine, open_warehouse
from shared.warehouse.filelock import file_lock
from tests.conftest import RedisServer
from tests.fakes.ollama import FakeOllama
from tests.ports import free_port


def of_duckdb(settings: WarehouseSettings) -> dict[str, Finding]:
    return {finding.check: finding for finding in examine_duckdb(settings)}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WarehouseSettings:
    monkeypatch.setattr(engine, "_warehouses", {})
    return WarehouseSettings(GTM_DATA_DIR=tmp_path / "house")  # type: ignore[call-arg]


def test_a_house_before_its_first_job(settings: WarehouseSettings) -> None:
    found = of_duckdb(settings)
    assert found["warehouse core"].mends == found["warehouse outbound"].mends == ("gtm warehouse init",)
    assert found["disk"].outcome in ("ok", "warn")
    assert not settings.data_dir.exists(), "looking makes nothing"


def test_files_with_tables_held_and_broken(settings: WarehouseSettings) -> None:
    with open_warehouse(settings).core(write=True) as connection:
        connection.execute(sa.text("create table raw.one (id integer)"))
    with open_warehouse(settings).outbound(write=True):
        pass
    found = of_duckdb(settings)
    assert found["warehouse core"].outcome == "ok" and "1 tables" in found["warehouse core"].said
    with file_lock(settings.core_path, exclusive=True, timeout_seconds=1):
        assert of_duckdb(settings)["warehouse core"].mends == ("gtm status",)
    settings.core_path.write_bytes(b"no database")
    broken = of_duckdb(settings)["warehouse core"]
    assert broken.outcome == "fail" and "backup" in broken.mends[0]


def test_redis_that_answers_and_one_that_does_not(redis_server: RedisServer) -> None:
    assert examine_redis(QueueSettings()).outcome == "ok"
    redis_server.stop()
    gone = examine_redis(QueueSettings())
    assert gone.outcome == "fail" and "REDIS_URL" in gone.mends[0]


def test_an_operations_database_at_every_level(operations: OperationsDatabase, tmp_path: Path) -> None:
    url = operations.engine.url.render_as_string(hide_password=False)
    settings = OperationsSettings(GTM_OPERATIONS_URL=url)  # type: ignore[call-arg]
    assert examine_operations(settings).outcome == "ok"
    for level, outcome in (("0001", "fail"), ("9999", "warn")):
        with operations.engine.begin() as connection:
            connection.execute(sa.text("update alembic_version set version_num = :level"), {"level": level})
        assert examine_operations(settings).outcome == outcome
    elsewhere = OperationsSettings(GTM_DATA_DIR=tmp_path / "none")  # type: ignore[call-arg]
    assert examine_operations(elsewhere).mends == ("python -m shared.operations.migrate",)
    assert not (tmp_path / "none").exists()
    nobody = f"postgresql+psycopg://gtm:sesame@127.0.0.1:{free_port()}/gtm"
    gone = examine_operations(OperationsSettings(GTM_OPERATIONS_URL=nobody))  # type: ignore[call-arg]
    assert gone.outcome == "fail" and "sesame" not in gone.said


def test_each_host_of_the_model() -> None:
    with FakeOllama() as ollama:
        there, nobody = ollama.url, f"127.0.0.1:{free_port()}"
        for api in ("ollama", "openai"):
            named = {"OLLAMA_HOST": f"{there}, {nobody}", "OLLAMA_MODEL": "llama3.1", "GTM_MODEL_API": api}
            first, second = examine_models(SurroundingSettings.model_validate(named))
            assert (first.outcome, first.said) == ("ok", "llama3.1")
            assert second.outcome == "fail" and nobody in second.check
        (missing,) = examine_models(SurroundingSettings.model_validate({"OLLAMA_HOST": there, "OLLAMA_MODEL": "other"}))
        assert missing.mends == ("ollama pull other",)


def test_the_command_exits_with_what_it_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://:sesame@127.0.0.1:{free_port()}/0")
    result = CliRunner().invoke(app, ["doctor", "--for", "ingest", "--json"])
    found = {one["check"]: one for one in json.loads(result.stdout)}
    assert result.exit_code == 1
    assert list(found) == ["operations database", "api keys", "redis", "disk", "warehouse core", "warehouse outbound"]
    assert found["redis"]["outcome"] == "fail" and "sesame" not in result.stdout
    monkeypatch.setenv("GTM_WAREHOUSE", "oracle")
    assert CliRunner().invoke(app, ["doctor"]).exit_code == 2
