"""`--json`: stdout is one JSON document, whatever happens."""

from typing import Any

import pytest

from tests.cli.conftest import Gtm
from tests.cli.server import RESULTS, Behaviour


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["sync", "mock"],
        ["build"],
        ["score"],
        ["score", "explain", "hubspot:17"],
        ["jobs"],
        ["leads"],
        ["leads", "hubspot:17"],
        ["status"],
    ],
)
def test_every_command_prints_one_document(gtm: Gtm, two_leads: list[dict[str, Any]], arguments: list[str]) -> None:
    ended = gtm(*arguments, "--json")

    assert ended.exit_code == 0
    assert isinstance(ended.json(), dict)


def test_a_watched_job_is_printed_as_it_ended(gtm: Gtm, behaviour: Behaviour) -> None:
    job = gtm("run", "--json").json()

    assert job == behaviour.jobs["pipeline-1"]
    assert [child["result"] for child in job["children"]] == list(RESULTS.values())


def test_an_unwatched_job_is_printed_as_it_started(gtm: Gtm) -> None:
    assert gtm("run", "--no-watch", "--json").json()["state"] == "queued"


def test_show_and_cancel_print_the_job(gtm: Gtm) -> None:
    gtm("build", "--no-watch")

    assert gtm("jobs", "cancel", "build-1", "--json").json()["state"] == "cancelled"
    assert gtm("jobs", "build-1", "--json").json()["state"] == "cancelled"


def test_a_failure_is_the_job_with_its_error(gtm: Gtm, behaviour: Behaviour) -> None:
    behaviour.fails = "sync"

    ended = gtm("sync", "mock", "--json")

    assert ended.exit_code == 1
    assert ended.json()["error"]["code"] == "dbt-test-failed"


def test_a_refusal_is_its_problem(gtm: Gtm) -> None:
    ended = gtm("sync", "nope", "--json")

    assert ended.exit_code == 2
    assert ended.json()["errors"][0]["field"] == "source"


def test_an_unreachable_service_is_a_problem_too(run_gtm: Gtm, nowhere: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GTM_SCORING_URL", nowhere)

    ended = run_gtm("leads", "--json")

    assert ended.exit_code == 3
    assert ended.json()["code"] == "service-unreachable"
