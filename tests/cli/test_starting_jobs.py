import json
from pathlib import Path

import pytest

from shared.access.keys import mint_key
from tests.cli.conftest import Gtm
from tests.cli.server import DBT_PROBLEM, RESULTS, Behaviour, Server


@pytest.mark.parametrize(
    ("arguments", "kind", "body"),
    [
        (
            ["run", "-o", "accounts=500", "-o", "folder=./in", "--limit", "20", "--force"],
            "pipeline",
            {
                "sync": {
                    "source": "mock",
                    "mode": "incremental",
                    "options": {"accounts": 500, "folder": "./in"},
                    "accept_volume": False,
                    "on_schema_change": "evolve",
                },
                "build": {"select": None, "full_refresh": False, "retry_of": None, "load_id": None},
                "scoring": {"scope": "all", "limit": 20, "force": True, "dry_run": False},
            },
        ),
        (
            ["sync", "files", "--mode", "full", "--option", 'tables=["deals"]', "--accept-volume"],
            "sync",
            {
                "source": "files",
                "mode": "full",
                "options": {"tables": ["deals"]},
                "accept_volume": True,
                "on_schema_change": "evolve",
            },
        ),
        (
            ["build", "--select", "dim_accounts+", "--full-refresh"],
            "build",
            {"select": "dim_accounts+", "full_refresh": True, "retry_of": None, "load_id": None},
        ),
        (
            ["build", "--retry", "build-7"],
            "build",
            {"select": None, "full_refresh": False, "retry_of": "build-7", "load_id": None},
        ),
        (
            ["score", "--account", "hubspot:1", "--account", "hubspot:2", "--dry-run"],
            "scoring",
            {"scope": {"account_ids": ["hubspot:1", "hubspot:2"]}, "limit": None, "force": False, "dry_run": True},
        ),
    ],
)
def test_each_start_sends_its_request_and_watches_to_the_end(
    gtm: Gtm, behaviour: Behaviour, arguments: list[str], kind: str, body: object
) -> None:
    ended = gtm(*arguments)

    assert (ended.exit_code, len(behaviour.starts)) == (0, 1)
    assert behaviour.starts[0]["kind"] == kind
    assert behaviour.starts[0]["body"] == body
    assert behaviour.starts[0]["key"]
    assert "succeeded" in ended.stdout


def test_a_pipeline_shows_every_part_and_its_counts(gtm: Gtm) -> None:
    ended = gtm("run")

    for shown in ("sync", "build", "scoring", "inserted 25,000", "nodes: passed 41", "LLM calls 27", "3"):
        assert shown in ended.stdout
    assert "build at work" in ended.stderr
    assert "build at work" not in ended.stdout


def test_no_watch_says_how_to_come_back(gtm: Gtm, behaviour: Behaviour) -> None:
    ended = gtm("build", "--no-watch")

    assert ended.exit_code == 0
    assert behaviour.looks == 0
    assert "gtm jobs build-1 --watch" in ended.stdout and "gtm jobs cancel build-1" in ended.stdout


def test_a_failed_job_ends_with_1_and_its_reason(gtm: Gtm, behaviour: Behaviour) -> None:
    behaviour.fails = "build"

    ended = gtm("run")

    assert ended.exit_code == 1
    assert "build failed: A data test failed" in ended.stderr
    assert "3 rows with negative ARR" in ended.stderr
    assert "node: non_negative_dim_accounts_won_arr_usd" in ended.stderr
    assert "rows: account_id hubspot:1  won_arr_usd -5.00\n" in ended.stderr


def test_a_build_tells_what_warned_and_where_its_rows_are(gtm: Gtm) -> None:
    ended = gtm("build")

    assert "warned nodes: node warns_about_age  message hubspot is 80 hours old.  failures 1" in ended.stdout
    assert "rows: gtm failures build-1 warns_about_age" in ended.stderr


def test_a_failed_build_says_where_its_rows_are_and_how_to_go_on(gtm: Gtm, behaviour: Behaviour) -> None:
    behaviour.fails = "build"

    stderr = gtm("build").stderr

    assert "rows: gtm failures build-1 non_negative_dim_accounts_won_arr_usd" in stderr
    assert "all nodes: gtm nodes build-1" in stderr
    assert "once it is mended: gtm build\n" in stderr and "--retry" not in stderr


def test_a_retry_is_offered_where_neither_data_nor_project_need_mending(
    gtm: Gtm, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    behaviour.fails = "build"
    monkeypatch.setitem(DBT_PROBLEM, "code", "dbt-model-failed")

    assert "gtm build --retry build-1" in gtm("build").stderr


def test_a_retry_takes_no_selection(gtm: Gtm, behaviour: Behaviour) -> None:
    ended = gtm("build", "--retry", "build-1", "--select", "dim_accounts")

    assert (ended.exit_code, behaviour.starts) == (2, [])
    assert "leave out select and full_refresh" in ended.stderr


def test_rejected_rows_are_shown_with_the_way_to_all(gtm: Gtm, monkeypatch: pytest.MonkeyPatch) -> None:
    reject = {"table": "hubspot_deals", "file": "deals.csv", "line": 12345, "reason": "2 fields where the header has 3"}
    result = {
        "rejected": 7,
        "tables": {"hubspot_deals": {"rejected": 7}, "hubspot_contacts": {"rejected": 0}},
        "first_rejects": [reject],
    }
    monkeypatch.setitem(RESULTS, "sync", result)

    for arguments in (["sync", "files"], ["run"], ["jobs", "sync-1"]):
        stdout = gtm(*arguments).stdout
        assert "rejected: deals.csv line 12345 (for hubspot_deals): 2 fields where the header has 3\n" in stdout
        assert "all 7 in raw.rejects where source_table in ('hubspot_deals')" in stdout


def test_no_reject_says_nothing_of_rejects(gtm: Gtm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RESULTS, "sync", {**RESULTS["sync"], "first_rejects": []})

    assert "rejects" not in gtm("sync", "files").stdout


def test_a_long_list_of_names_is_cut_short(gtm: Gtm, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"file{number}.csv" for number in range(57)]
    monkeypatch.setitem(RESULTS, "sync", {"unmapped_files": names})

    said = "unmapped files: file0.csv, file1.csv, file2.csv, file3.csv, file4.csv and 52 more\n"
    assert said in gtm("sync", "files").stdout
    assert gtm("sync", "files", "--json").json()["result"]["unmapped_files"] == names


def test_quarantined_rows_have_an_address(gtm: Gtm, monkeypatch: pytest.MonkeyPatch) -> None:
    address = "quarantined rows, each with its reason: analytics.quarantine_rows"
    assert address in gtm("build").stdout

    monkeypatch.setitem(RESULTS, "build", {**RESULTS["build"], "quarantined": {}})
    assert address not in gtm("build").stdout


@pytest.mark.parametrize("candidates", [0, 1])
def test_accounts_that_do_not_exist_end_with_1(gtm: Gtm, monkeypatch: pytest.MonkeyPatch, candidates: int) -> None:
    monkeypatch.setitem(RESULTS, "scoring", {"candidates": candidates, "missing": 2})

    for arguments in (["score", "--account", "nope"], ["score", "--account", "nope", "--json"]):
        ended = gtm(*arguments)
        assert ended.exit_code == (0 if candidates else 1)
        said = "missing 2 accounts: no such account is in analytics.dim_accounts"
        assert (said in ended.stderr) is not bool(candidates)


def test_a_refused_request_ends_with_2_and_names_the_field(gtm: Gtm) -> None:
    ended = gtm("sync", "nope")

    assert ended.exit_code == 2
    assert "source: unknown source 'nope'; known: mock, files" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["build", "--select", "a;b"], "'a;b' is no node"),
        (["sync", "mock", "--option", "accounts"], "'accounts' is not KEY=VALUE"),
        (["sync", "mock", "-o", "a=1", "-o", "a=2"], "a is given twice"),
        (["sync", ""], "source: String should have at least 1 character"),
    ],
)
def test_what_can_be_seen_here_is_not_sent(gtm: Gtm, behaviour: Behaviour, arguments: list[str], said: str) -> None:
    ended = gtm(*arguments)

    assert ended.exit_code == 2
    assert said in ended.stderr
    assert behaviour.starts == []


def test_a_start_is_repeated_with_the_same_key(gtm: Gtm, behaviour: Behaviour) -> None:
    behaviour.unavailable_starts = 2

    ended = gtm("build")

    keys = [start["key"] for start in behaviour.starts]
    assert ended.exit_code == 0
    assert len(keys) == 3 and len(set(keys)) == 1
    assert len(behaviour.jobs) == 1


def test_two_starts_have_two_keys(gtm: Gtm, behaviour: Behaviour) -> None:
    gtm("build")
    gtm("build")

    assert behaviour.starts[0]["key"] != behaviour.starts[1]["key"]


def test_a_service_that_stays_unavailable_ends_with_3(gtm: Gtm, behaviour: Behaviour) -> None:
    behaviour.unavailable_starts = 99

    ended = gtm("build")

    assert ended.exit_code == 3
    assert "The operations database does not answer." in ended.stderr
    assert len(behaviour.starts) == 4


def test_an_unreachable_service_ends_with_3_and_the_mend(
    run_gtm: Gtm, nowhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GTM_TRANSFORM_URL", nowhere)

    ended = run_gtm("build")

    assert ended.exit_code == 3
    assert nowhere in ended.stderr
    assert "make up" in ended.stderr and "GTM_TRANSFORM_URL" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_local_stack_is_found(run_gtm: Gtm, server: Server, tmp_path: Path) -> None:
    path = tmp_path / "data" / "local" / "endpoints.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"ingest": server.url, "transform": server.url, "scoring": server.url}))

    assert run_gtm("build").exit_code == 0


def test_a_setting_wins_over_the_local_stack(
    run_gtm: Gtm, server: Server, nowhere: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data" / "local" / "endpoints.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"transform": nowhere}))
    monkeypatch.setenv("GTM_TRANSFORM_URL", server.url + "/")
    monkeypatch.setenv("GTM_INGEST_URL", server.url)

    assert run_gtm("build").exit_code == 0


def test_broken_endpoints_are_named(run_gtm: Gtm, tmp_path: Path) -> None:
    path = tmp_path / "data" / "local" / "endpoints.json"
    path.parent.mkdir(parents=True)
    path.write_text("{")

    ended = run_gtm("build")

    assert ended.exit_code == 2
    assert "endpoints.json" in ended.stderr and "make up" in ended.stderr


def test_an_address_without_scheme_is_named(run_gtm: Gtm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GTM_INGEST_URL", "127.0.0.1:8101")

    ended = run_gtm("sync", "mock")

    assert ended.exit_code == 2
    assert "GTM_INGEST_URL" in ended.stderr and "http://" in ended.stderr


def test_the_key_is_sent(gtm: Gtm, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch) -> None:
    behaviour.key = mint_key().text
    monkeypatch.setenv("GTM_API_KEY", behaviour.key)

    assert gtm("build").exit_code == 0


def test_a_missing_key_is_named(gtm: Gtm, behaviour: Behaviour) -> None:
    behaviour.key = mint_key().text

    ended = gtm("build")

    assert ended.exit_code == 2
    assert "GTM_API_KEY" in ended.stderr
