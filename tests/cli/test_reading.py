import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.settings import SERVICES
from cli.text import counted, duration
from tests.cli.conftest import Gtm
from tests.cli.server import Behaviour, Server


def test_jobs_lists_all_pages_newest_first(gtm: Gtm) -> None:
    for _ in range(5):
        gtm("build", "--no-watch")

    ended = gtm("jobs")

    assert ended.exit_code == 0
    assert [f"build-{number}" in ended.stdout for number in range(1, 6)] == [True] * 5
    assert ended.stdout.index("build-5") < ended.stdout.index("build-1")


def test_jobs_keeps_to_the_limit_and_says_that_there_are_more(gtm: Gtm) -> None:
    for _ in range(5):
        gtm("build", "--no-watch")

    page = gtm("jobs", "--limit", "3", "--json").json()

    assert [job["id"] for job in page["items"]] == ["build-5", "build-4", "build-3"]
    assert page["next_cursor"] == "3"
    assert "raise --limit" in gtm("jobs", "--limit", "3").stdout


@pytest.mark.parametrize("columns", [None, "80"])
def test_an_id_is_never_wrapped_or_cut(
    gtm: Gtm, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch, columns: str | None
) -> None:
    gtm("build", "--no-watch")
    job = behaviour.jobs.pop("build-1")
    job["id"] = "0195e7a2-4c1f-7c3e-9b1a-0123456789ab"
    job |= {"state": "running", "progress": {"phase": "stg_hubspot__companies " * 5, "done": 1_000_000, "total": None}}
    behaviour.jobs[job["id"]] = job
    if columns:
        monkeypatch.setenv("COLUMNS", columns)

    stdout = gtm("jobs").stdout

    assert job["id"] in stdout
    assert max(map(len, stdout.splitlines())) <= int(columns or 120)


@pytest.mark.parametrize("arguments", [["jobs"], ["jobs", "--json"], ["status"], ["build"]])
def test_a_reader_that_goes_away_is_no_error(server: Server, clean_env: None, arguments: list[str]) -> None:
    root = str(Path(__file__).parents[2])
    env = os.environ | {f"GTM_{service.upper()}_URL": server.url for service in SERVICES} | {"PYTHONPATH": root}
    read, write = os.pipe()
    os.close(read)
    try:
        command = [sys.executable, "-c", "from cli.main import app; app()", *arguments]
        ended = subprocess.run(command, env=env, stdout=write, stderr=subprocess.PIPE, text=True, timeout=30)
    finally:
        os.close(write)

    assert ended.returncode == 141, ended.stderr
    assert "Traceback" not in ended.stderr and "BrokenPipe" not in ended.stderr


def test_jobs_filters_by_kind_and_state(gtm: Gtm) -> None:
    gtm("build", "--no-watch")
    gtm("score")

    assert [job["kind"] for job in gtm("jobs", "--kind", "scoring", "--json").json()["items"]] == ["scoring"]
    assert [job["kind"] for job in gtm("jobs", "--state", "queued", "--json").json()["items"]] == ["build"]


def test_jobs_with_an_id_shows_one(gtm: Gtm) -> None:
    gtm("build")

    ended = gtm("jobs", "build-1")

    assert ended.exit_code == 0
    assert "2.5 s" in ended.stdout and "1 attempt" in ended.stdout and "full_refresh" in ended.stdout


def test_jobs_with_an_id_and_watch_follows_it(gtm: Gtm) -> None:
    gtm("run", "--no-watch")

    ended = gtm("jobs", "pipeline-1", "--watch")

    assert ended.exit_code == 0
    assert "LLM calls 27" in ended.stdout


def test_cancel_asks_the_service_and_the_watcher_ends_with_4(gtm: Gtm, behaviour: Behaviour) -> None:
    gtm("build", "--no-watch")

    cancelled = gtm("jobs", "cancel", "build-1")

    assert cancelled.exit_code == 0
    assert "build build-1 is cancelled" in cancelled.stdout
    assert behaviour.jobs["build-1"]["state"] == "cancelled"
    assert gtm("jobs", "build-1", "--watch").exit_code == 4


def test_cancelling_a_running_job_says_when_it_stops(gtm: Gtm) -> None:
    gtm("build", "--no-watch")
    gtm("jobs", "build-1")

    assert "stops at its next batch" in gtm("jobs", "cancel", "build-1").stdout


@pytest.mark.parametrize("arguments", [["jobs", "nope"], ["jobs", "cancel", "nope"], ["leads", "nope"]])
def test_an_unknown_id_ends_with_2(gtm: Gtm, arguments: list[str]) -> None:
    ended = gtm(*arguments)

    assert ended.exit_code == 2
    assert "There is no" in ended.stderr and "nope" in ended.stderr


@pytest.mark.parametrize(
    "arguments", [["jobs", "--watch"], ["jobs", "build-1", "--state", "queued"], ["jobs", "--state", "lost"], ["walk"]]
)
def test_wrong_usage_ends_with_2(gtm: Gtm, arguments: list[str]) -> None:
    assert gtm(*arguments).exit_code == 2


def test_jobs_are_found_while_one_service_is_down(gtm: Gtm, nowhere: str, monkeypatch: pytest.MonkeyPatch) -> None:
    gtm("build", "--no-watch")
    monkeypatch.setenv("GTM_INGEST_URL", nowhere)

    assert gtm("jobs", "build-1").exit_code == 0
    assert gtm("jobs", "cancel", "build-1").exit_code == 0


def test_leads_reads_well_when_piped(gtm: Gtm, two_leads: list[dict[str, Any]]) -> None:
    ended = gtm("leads")

    assert ended.exit_code == 0
    assert "\x1b" not in ended.stdout and "─" not in ended.stdout
    assert max(len(line) for line in ended.stdout.splitlines()) <= 120
    for shown in ("Müller Transport GmbH", "hubspot:17", "78", "74", "+18 a fleet of 400 vehicles", "-6.5 silent"):
        assert shown in ended.stdout
    assert "one contact" not in ended.stdout, "only the two strongest reasons"


def test_leads_filters_by_tier(gtm: Gtm, two_leads: list[dict[str, Any]]) -> None:
    assert [lead["account_name"] for lead in gtm("leads", "--tier", "C", "--json").json()["items"]] == ["Acme"]


def test_one_lead_comes_with_reasons_pitch_and_history(gtm: Gtm, two_leads: list[dict[str, Any]]) -> None:
    ended = gtm("leads", "hubspot:17")

    for shown in ("one contact is engaged", "You run 400 vehicles", "call now", "template", "score 71  tier B"):
        assert shown in ended.stdout
    assert "score 78 = baseline 74 (fit 40 + engagement 34) +4 by the model, whose own score is 99" in ended.stdout


def test_a_change_tells_why_and_a_lead_that_is_no_prospect_any_more_says_so(
    gtm: Gtm, two_leads: list[dict[str, Any]]
) -> None:
    stdout = gtm("leads", "hubspot:17").stdout
    assert "because: 12 visits (+5); answer" in " ".join(stdout.split()) and "no active prospect" not in stdout
    two_leads[0] |= {"is_active": False, "inactive_reason": "customer"}
    assert "no active prospect any more: customer" in gtm("leads", "hubspot:17").stdout


def test_the_points_of_a_lead_add_up(gtm: Gtm, two_leads: list[dict[str, Any]]) -> None:
    two_leads[0]["reasons"].append({"factor": "llm_adjustment", "component": "llm", "points": 4.0})

    stdout = gtm("leads", "hubspot:17").stdout

    assert "the other factors: +60, " in stdout, "74 - (2.5 + 18 - 6.5); the model's points are no factor's"
    assert "all together the baseline 74; the model's adjustment is +4" in stdout


def test_a_lead_without_an_answer_says_so(gtm: Gtm, two_leads: list[dict[str, Any]]) -> None:
    two_leads[0]["llm_score"] = None

    assert "the model gave no usable answer" in gtm("leads", "hubspot:17").stdout


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, ""), (0.44, "0.4 s"), (59.9, "59.9 s"), (125, "2:05"), (725, "12:05"), (3723, "1:02:03")],
)
def test_durations(seconds: float | None, shown: str) -> None:
    assert duration(seconds) == shown


def test_counts_have_the_right_number() -> None:
    assert [counted(number, "answer") for number in (0, 1, 1200)] == ["0 answers", "1 answer", "1,200 answers"]
    assert [counted(number, "pitch") for number in (1, 2, "?")] == ["1 pitch", "2 pitches", "? pitches"]


def test_no_leads_says_what_to_do(gtm: Gtm) -> None:
    assert "gtm score" in gtm("leads").stdout


def test_a_name_from_the_crm_does_not_steer_the_terminal(gtm: Gtm, two_leads: list[dict[str, Any]]) -> None:
    two_leads[0]["account_name"] = "[red]Evil\x1b[2J\u202e & Co"
    two_leads[0]["pitch"] = "one\ntwo [/nothing]"

    for arguments in (["leads"], ["leads", "hubspot:17"]):
        stdout = gtm(*arguments).stdout
        assert "[red]Evil[2J & Co" in stdout
        assert "\x1b" not in stdout and "\u202e" not in stdout


def test_status_shows_services_and_queue(gtm: Gtm) -> None:
    gtm("build", "--no-watch")

    ended = gtm("status")

    assert ended.exit_code == 0
    for shown in ("ingest", "transform", "scoring", "ready", "9.8.7", "GTM_INGEST_URL", "build-1", "queued"):
        assert shown in ended.stdout


def test_status_names_the_check_that_fails(gtm: Gtm, behaviour: Behaviour) -> None:
    behaviour.sick = True

    ended = gtm("status")

    assert ended.exit_code == 3
    assert "unavailable" in ended.stdout
    assert "ingest: redis: Redis does not answer at REDIS_URL." in ended.stderr


def test_status_of_a_stopped_stack(run_gtm: Gtm, nowhere: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for service in ("INGEST", "TRANSFORM", "SCORING"):
        monkeypatch.setenv(f"GTM_{service}_URL", nowhere)

    ended = run_gtm("status", "--json")

    assert ended.exit_code == 3
    assert {service["state"] for service in ended.json()["services"].values()} == {"unreachable"}
    assert ended.json()["jobs"] is None


def test_nodes_leave_out_tests_that_passed(gtm: Gtm) -> None:
    shown = gtm("nodes", "build-1").stdout
    assert "stg_hubspot__deals" in shown and "1,234" in shown
    assert "warns_about_age" in shown and "hubspot is 80 hours old." in shown
    assert "unique_dim_accounts_account_id" not in shown and "1 tests passed; --all lists them." in shown
    assert "rows of warns_about_age: gtm failures build-1 warns_about_age" in shown

    assert "unique_dim_accounts_account_id" in gtm("nodes", "build-1", "--all").stdout
    warned = gtm("nodes", "build-1", "--status", "warned", "--json").json()
    assert ([node["node"] for node in warned["items"]], warned["next_cursor"]) == (["warns_about_age"], None)
    assert len(gtm("nodes", "build-1", "--json").json()["items"]) == 3


def test_failures_show_rows_and_how_to_see_more(gtm: Gtm) -> None:
    shown = gtm("failures", "build-1", "warns_about_age").stdout
    assert "warns_about_age found 3,000; the first 1,000 are in analytics_failures.warns_about_age." in shown
    assert "ann@x.org" in shown and "More with --offset 20." in shown
    assert "--offset" not in gtm("failures", "build-1", "warns_about_age", "--offset", "20").stdout
    assert gtm("failures", "build-1", "warns_about_age", "--json").json()["items"][0]["age_hours"] == 80
    gone = gtm("failures", "build-1", "another")
    assert (gone.exit_code, "build-9 has run another again" in gone.stderr) == (2, True)


@pytest.mark.parametrize("columns", ["80", "140"])
def test_a_pipeline_for_changed_records_says_so(
    gtm: Gtm, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    gtm("build", "--no-watch")
    job = behaviour.jobs.pop("build-1")
    job["id"] = "0195e7a2-4c1f-7c3e-9b1a-0123456789ab"  # as long as real ones: what is beneath has its width
    behaviour.jobs[job["id"]] = job
    job |= {"kind": "pipeline", "state": "running", "subject": "hubspot", "request": {"records": {"companies": 1200}}}
    monkeypatch.setenv("COLUMNS", columns)
    about = "changed records of hubspot: 1,200"  # companies

    for arguments in (["jobs"], ["status"]):
        assert about in " ".join(gtm(*arguments).stdout.split()), arguments
    job["state"] = "succeeded"
    assert about in " ".join(gtm("jobs", job["id"]).stdout.split())
    job["subject"] = None
    assert about not in gtm("jobs").stdout
