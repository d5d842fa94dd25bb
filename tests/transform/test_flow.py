"""One build as a job sees it: progress, result, and each way to fail."""

import re
from pathlib import Path

import pytest

from services.transform.domain.run_results import count_by_status
from services.transform.flow import build_marts
from services.transform.settings import TransformSettings
from shared.errors import TerminalError
from tests.transform.builds import REPOSITORY, BuiltTwice, House, RecordingJob


def test_progress_counts_every_node_up_to_the_total(built: BuiltTwice) -> None:
    assert built.job.reported[0] == ("build", 0, None, "nodes")
    done = [done for _, done, _, _ in built.job.reported]
    assert done == list(range(len(done)))
    total = built.job.reported[-1][2]
    assert total == done[-1] == sum(built.first["nodes"].values()) == len(built.job.record.results)


def test_each_node_is_told_as_it_starts_and_ends_and_once_more_at_the_end(built: BuiltTwice) -> None:
    record = built.job.record
    nodes = {result.unique_id: result for result in record.results}
    for status in ("running", "passed"):
        assert {node.unique_id for node in record.noted if node.status == status} <= nodes.keys()
    assert len(record.noted) == 2 * len(nodes)
    assert built.first["nodes"] == count_by_status(nodes.values())
    model = nodes["model.fleet_gtm.dim_accounts"]
    assert (model.kind, model.node, model.status) == ("model", "dim_accounts", "passed")
    for node in nodes.values():
        assert node.status in ("passed", "warned") and node.started_at is not None and node.ended_at is not None
        assert node.started_at <= node.ended_at and node.seconds is not None
    assert {result.node for result in nodes.values() if result.status == "warned"} == {
        node["node"] for node in built.first["warned_nodes"]
    }


def test_the_projects_documentation_is_one_page_with_everything_in_it(built: BuiltTwice) -> None:
    page = built.house.settings.dbt_docs_path.read_text()
    assert '"model.fleet_gtm.dim_accounts"' in page and "INLINE DATA" not in page


def test_the_result_counts_quarantined_rows_by_table(built: BuiltTwice) -> None:
    assert (
        built.first["quarantined"].items()
        >= {
            "hubspot_companies": 3,
            "hubspot_contacts": 1,
            "hubspot_deals": 1,
            "hubspot_web_visits": 2,
            "salesforce_accounts": 1,
            "salesforce_opportunities": 2,
            "salesforce_opportunity_history": 1,
        }.items()
    )


def test_project_folder_stays_as_it_was(built: BuiltTwice) -> None:
    written = {path.name for path in (REPOSITORY / "dbt_transform").iterdir()}
    assert written.isdisjoint({"target", "logs", "dbt_packages", ".user.yml"})


def test_nothing_landed_is_said_before_dbt_starts(tmp_path: Path) -> None:
    with pytest.raises(TerminalError, match="Start a sync first") as caught:
        House(tmp_path / "bare").build(RecordingJob("bare"))
    assert caught.value.code == "nothing-landed"


def test_raw_of_an_earlier_version_asks_for_one_sync(tmp_path: Path) -> None:
    house = House(tmp_path / "upgraded")
    with house.warehouse.core(write=True) as connection:
        connection.exec_driver_sql("create table raw.hubspot_companies (id text)")
    with pytest.raises(TerminalError, match="Sync once after the upgrade") as caught:
        house.build(RecordingJob("upgraded"))
    assert caught.value.code == "nothing-landed"


def test_unreadable_weights_name_the_field(built: BuiltTwice, tmp_path: Path) -> None:
    path = tmp_path / "weights.yml"
    text = (REPOSITORY / "config" / "scoring_weights.yml").read_text()
    shorter = re.sub(r"      retail: \S+\n", "", text)
    assert shorter != text
    path.write_text(shorter)
    settings = built.house.settings.model_copy(update={"scoring_weights_path": path})
    with pytest.raises(TerminalError, match=r"fit\.industry\.words: .*retail") as caught:
        _build(built.house, settings)
    assert caught.value.code == "scoring-weights-invalid"


def test_failing_test_names_test_rows_and_no_personal_data(broken: House) -> None:
    with pytest.raises(TerminalError, match="assert_no_gmail failed on 1 row, such as: contact_id=13") as caught:
        broken.build(RecordingJob("failing", {"select": "assert_no_gmail"}))
    problem = caught.value.to_problem()
    assert problem["code"] == "dbt-test-failed"
    assert problem["rows"] == [{"contact_id": "13", "rows_seen": 7}]
    assert "gmail.com" not in str(problem)


def test_wrong_column_and_broken_contract_are_column_mismatches(broken: House) -> None:
    with pytest.raises(TerminalError, match="columns don't match: ") as caught:
        broken.build(RecordingJob("columns", {"select": "fct_touchpoints fct_account_score_factors"}))
    problem = caught.value.to_problem()
    assert problem["code"] == "dbt-column-mismatch"
    assert problem["columns"] in (["points (data type mismatch)"], ["chanel (missing)"])
    assert {node["node"] for node in problem["failed_nodes"]} == {"fct_touchpoints", "fct_account_score_factors"}
    assert problem["nodes"]["skipped"] > 0


def _build(house: House, settings: TransformSettings) -> None:
    job = RecordingJob("weights")
    build_marts(job, house.warehouse, settings, job.record)
