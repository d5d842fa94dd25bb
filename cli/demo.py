"""`make demo`: the whole way of a market's data, through the REST API, on this machine, and everything stopped again.

What it starts, it stops: also on an error, Ctrl-C or SIGTERM. A stack that already runs is used and left alone.
"""

import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from cli.client import GtmClient, connect
from cli.errors import BadSetting, CliError, ExitCode, to_bad_setting
from cli.models import Job
from cli.output import Output
from cli.progress import job_view
from cli.render import render_failure, render_leads
from cli.session import EXIT_CODE_OF_STATE
from cli.settings import SERVICES, CliSettings, DemoSettings, read_local_endpoints, read_settings
from cli.stack import STACK_COMMAND, running_stack
from cli.stand_in import StandIn, asked_lines, changed_tables
from cli.text import counted, duration, thousands
from cli.watch import WatchingStopped, follow
from shared.contracts import JobState, PipelineRequest, ScoringRequest, SyncRequest
from shared.settings import warehouse_settings

ACCOUNTS: Final = 500
VISITS: Final = 20_000
PROSPECTS: Final = 20

REQUEST: Final = PipelineRequest(
    sync=SyncRequest(source="mock", options={"accounts": ACCOUNTS, "visits": VISITS}),
    scoring=ScoringRequest(limit=PROSPECTS),
)


def main(stack_command: Sequence[str] = STACK_COMMAND) -> int:
    """The exit codes of `gtm` (docs/cli.md): 0 only when leads were scored and shown."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    output = Output()
    try:
        settings = local_settings()
        output.say(
            f"{ACCOUNTS} made-up companies in two messy CRMs, {thousands(VISITS)} page views; "
            f"the {PROSPECTS} best prospects get a score, its reasons and a pitch.\n",
            "bold",
        )
        with running_stack(stack_command) as started_here:
            return _show_pipeline(output, settings, started_here)
    except CliError as error:
        output.problem(error.problem)
        return error.exit_code
    except KeyboardInterrupt:
        output.note("\nStopped. Nothing of the demo is left running.", "yellow")
        return ExitCode.INTERRUPTED


def local_settings() -> CliSettings:
    """The local stack's addresses and no others: the demo's companies are made up, and belong in no real warehouse.

    Raises:
        BadSetting: GTM_WAREHOUSE names Snowflake, or a setting of the warehouse is wrong.
    """
    try:
        kind, local = warehouse_settings().kind, DemoSettings().local_warehouse
    except ValidationError as error:
        raise to_bad_setting(error) from None
    if kind != "duckdb" and local == "duckdb":
        raise BadSetting(
            "GTM_WAREHOUSE names a real warehouse, and the demo would land made-up companies there. "
            "Run it as `GTM_WAREHOUSE=duckdb GTM_DATA_DIR=var/demo make demo`."
        )
    return read_settings().model_copy(update={f"{service}_url": None for service in SERVICES})


def _show_pipeline(output: Output, settings: CliSettings, started_here: bool) -> int:
    began = time.monotonic()
    stack = read_local_endpoints(settings)
    stand_in = StandIn(stack["snowflake"]) if stack.get("snowflake") else None
    with connect(settings) as client:
        output.note("")
        if stand_in is not None:
            stand_in.start_counting()
        job = _run_pipeline(output, client)
        if job.state is not JobState.SUCCEEDED:
            return _show_end(output, job, stack)
        leads = client.leads(limit=PROSPECTS).items
        render_leads(output, leads, with_pitch=True)
        for line in count_lines(job):
            output.say(line)
        output.say(f"  {'took':<12} {duration(time.monotonic() - began)}\n")
        if stand_in is not None and (code := _run_again(output, client, stand_in, stack)) != ExitCode.SUCCEEDED:
            return code
    output.say(about_the_model(stack) + "\n")
    for line in next_steps(stack, started_here):
        output.say(line)
    output.say()
    return ExitCode.SUCCEEDED


def _run_again(output: Output, client: GtmClient, stand_in: StandIn, stack: Mapping[str, Any]) -> int:
    """The same once more, which must change no table."""
    first, before, began = stand_in.asked(), stand_in.checksums(), time.monotonic()
    stand_in.start_counting()
    output.note("Once more: nothing is new.")
    job = _run_pipeline(output, client)
    if job.state is not JobState.SUCCEEDED:
        return _show_end(output, job, stack)
    took, second, after = time.monotonic() - began, stand_in.asked(), stand_in.checksums()
    for line in [*count_lines(job), *asked_lines("first run", first), *asked_lines("second run", second)]:
        output.say(line)
    output.say(f"  {'took':<12} {duration(took)}")
    changed = changed_tables(before, after)
    if changed:
        output.note(f"The second run changed {', '.join(changed)}.", "red")
        return ExitCode.FAILED
    rows = sum(int(one["rows"]) for one in after.values())
    output.say(f"  {'unchanged':<12} {len(after)} tables with {thousands(rows)} rows, by checksum\n")
    return ExitCode.SUCCEEDED


def _show_end(output: Output, job: Job, stack: Mapping[str, Any]) -> int:
    if job.state is JobState.FAILED:
        render_failure(output, job)
    output.note(f"The pipeline {job.state.value}. Logs: {stack.get('logs', 'see `make logs`')}", "red")
    return EXIT_CODE_OF_STATE[job.state]


def _run_pipeline(output: Output, client: GtmClient) -> Job:
    """Ctrl-C cancels the demo's own job: it shall not go on in a stack that somebody starts later."""
    polled = client.start(REQUEST)
    try:
        return follow(client, polled, job_view(output.err))
    except WatchingStopped as stopped:
        try:
            client.cancel(stopped.job.id)
        except CliError as error:
            output.note(f"The job could not be cancelled: {error}", "yellow")
        raise KeyboardInterrupt from None


def count_lines(job: Job) -> list[str]:
    """What became of the rows, one line per step."""
    results = {part.kind: part.result or {} for part in job.parts}
    landed, build, scoring = (results.get(kind, {}) for kind in ("sync", "build", "scoring"))
    quarantined = build.get("quarantined", 0)
    if isinstance(quarantined, Mapping):
        quarantined = sum(quarantined.values())
    elif quarantined is None:  # the warehouse refused to count them
        quarantined = "an unknown number of"
    return [
        f"  {'landed':<12} {_counts(landed, 'inserted', 'updated', 'unchanged', 'duplicates', 'rejected')} "
        f"(of {_number(landed, 'seen')} rows read)",
        f"  {'quarantined':<12} {counted(quarantined, 'row')} that can't be typed or keyed, each with its reason",
        f"  {'scored':<12} {_number(scoring, 'scored')}, {_counts(scoring, 'refreshed', 'unchanged')} "
        f"(of {_number(scoring, 'candidates')} prospects)",
        f"  {'model':<12} {_noun(scoring, 'llm_calls', 'call')}, {_noun(scoring, 'rejected_answers', 'answer')} "
        f"rejected by the checks, {_noun(scoring, 'template_pitches', 'template pitch')}, "
        f"{_number(scoring, 'baseline_only')} scored by the baseline alone",
    ]


def about_the_model(stack: Mapping[str, Any]) -> str:
    """What its answers are worth."""
    name = stack.get("ollama_model", "the model")
    if stack.get("brings_model", True):
        return (
            f"About the model: {name} is tiny. It proves the plumbing with real inference on any laptop; it does not "
            "score well. The ranking is the baseline's, computed in SQL; the model moves a score by 10 points at most, "
            "and what it writes is checked and replaced by a template where it fails. OLLAMA_HOST names a real one."
        )
    return (
        f"About the model: {name}, served by {stack.get('ollama')}. The ranking is the baseline's, computed in SQL; "
        "the model moves a score by 10 points at most."
    )


def next_steps(stack: Mapping[str, Any], started_here: bool) -> list[str]:
    """Where to look, in the order in which one would."""
    gtm = _gtm_command()
    documents = [f"  {'':<24} {stack[service]}/docs  ({service})" for service in SERVICES if service in stack]
    return [
        "Where to look next",
        f"  {'make up':<24} {'start it again and keep it running' if started_here else '(is running)'}; then",
        *documents,
        f"  {gtm + ' leads':<24} all leads; with an account's id: reasons, pitch and history",
        f"  {'make demo':<24} once more: 0 rows change, 0 model calls",
    ]


def _counts(result: Mapping[str, Any], *names: str) -> str:
    return ", ".join(f"{name} {_number(result, name)}" for name in names)


def _number(result: Mapping[str, Any], name: str) -> str:
    """A count that a service did not tell is a question mark, not a zero."""
    value = result.get(name)
    return thousands(value) if isinstance(value, int) else "?"


def _noun(result: Mapping[str, Any], name: str, noun: str) -> str:
    value = result.get(name)
    return counted(value if isinstance(value, int) else "?", noun)


def _gtm_command() -> str:
    """As the reader can type it: the environment need not be activated."""
    beside = Path(sys.executable).with_name("gtm")
    on_path = shutil.which("gtm")
    if on_path is not None and Path(on_path) == beside:
        return "gtm"
    return os.path.relpath(beside)


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
