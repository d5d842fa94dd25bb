"""The public suffix list in the warehouse."""

import re
from pathlib import Path

import pytest
import sqlalchemy as sa

from services.transform.adapters import public_suffixes as adapter
from services.transform.adapters.public_suffixes import ensure_public_suffixes, public_suffixes, read_rules
from shared.errors import TerminalError
from shared.settings import WarehouseSettings
from shared.warehouse import open_warehouse
from tests.conftest import REPOSITORY


def test_rules_say_how_many_labels_of_a_host_are_its_suffix() -> None:
    rules = {rule["rule"]: rule for rule in read_rules("1")}
    assert len(rules) > 10_000
    found = {
        name: (
            rules[name]["tail"],
            rules[name]["suffix_labels"],
            rules[name]["is_exception"],
            rules[name]["is_private"],
        )
        for name in ("com", "co.uk", "*.ck", "!www.ck", "github.io", "公司.cn", "xn--55qx5d.cn")
    }
    assert found == {
        "com": ("com", 1, False, False),
        "co.uk": ("co.uk", 2, False, False),
        "*.ck": ("ck", 2, False, False),
        "!www.ck": ("www.ck", 1, True, False),
        "github.io": ("github.io", 2, False, True),
        "公司.cn": ("公司.cn", 2, False, False),
        "xn--55qx5d.cn": ("xn--55qx5d.cn", 2, False, False),
    }


def test_sql_joins_as_many_labels_as_the_list_may_have() -> None:
    sql = (REPOSITORY / "dbt_transform" / "macros" / "firewall" / "domains.sql").read_text()
    (joined,) = re.findall(r"set most_labels = (\d+)", sql)
    assert int(joined) == adapter._MOST_LABELS
    assert max(rule["suffix_labels"] for rule in read_rules("1")) <= int(joined)


def test_list_is_written_once_and_replaced_by_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse = open_warehouse(WarehouseSettings(GTM_WAREHOUSE="duckdb", GTM_DATA_DIR=tmp_path))
    written = ensure_public_suffixes(warehouse)
    assert written > 10_000
    assert ensure_public_suffixes(warehouse) == 0

    monkeypatch.setattr(adapter, "version", lambda _: "next")
    monkeypatch.setattr(
        adapter, "read_rules", lambda newer: [rule for rule in read_rules(newer) if rule["rule"] != "ck"]
    )
    assert ensure_public_suffixes(warehouse) == written - sum(rule["rule"] == "ck" for rule in read_rules("1"))
    assert ensure_public_suffixes(warehouse) == 0
    with warehouse.core() as connection:
        versions = connection.execute(sa.select(public_suffixes.c.list_version).distinct()).scalars().all()
        rows = connection.execute(sa.select(sa.func.count()).select_from(public_suffixes)).scalar_one()
    assert versions == ["next"] and rows <= written


def test_a_role_that_may_not_write_the_list_is_told_the_grants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise sa.exc.ProgrammingError("create table", None, Exception("003001 (42501): Insufficient privileges"))

    monkeypatch.setattr(adapter, "_write", refuse)
    with pytest.raises(TerminalError, match="Insufficient privileges .*create table on schema raw") as caught:
        ensure_public_suffixes(open_warehouse(WarehouseSettings(GTM_WAREHOUSE="duckdb", GTM_DATA_DIR=tmp_path)))
    assert caught.value.code == "warehouse-object-missing"
