"""dbt as a subprocess: started, followed line by line, stopped. Nothing is written into the project's folder."""

import json
import os
import selectors
import shutil
import signal
import subprocess  # nosec B404 - a fixed command, no shell
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import services
from services.transform.domain.run_results import (
    LogEvent,
    NodeResult,
    has_failed_tests,
    parse_log_line,
    parse_run_results,
    with_tested_models,
)
from shared.logging import current_request_id

_TICK_SECONDS: Final = 0.5
_RUNS_KEPT: Final = 10
_DOCS_PAGE: Final = "static_index.html"
_TAIL_LINES: Final = 20
_IMPORT_ROOT: Final = Path(services.__file__).resolve().parent.parent


@dataclass(frozen=True)
class DbtBuild:
    """One `dbt build`. Paths may be relative; `environment` is what the profile reads beside this process's own."""

    project_dir: Path
    work_dir: Path
    run_name: str
    environment: Mapping[str, str]
    variables: Mapping[str, Any]
    threads: int
    memory_limit: str  # DuckDB's own
    stop_seconds: float
    select: tuple[str, ...] = ()
    is_exact: bool = False  # what `select` names and nothing else: no tests of neighbours
    full_refresh: bool = False
    has_docs: bool = False

    @property
    def run_dir(self) -> Path:
        """dbt's target and log of this build."""
        return (self.work_dir / "runs" / self.run_name).resolve()

    @property
    def parsed_project(self) -> Path:
        """What the last build parsed; saves a third of dbt's start-up. dbt itself decides what of it still holds."""
        return (self.work_dir / "partial_parse.msgpack").resolve()


@dataclass
class DbtOutcome:
    """How dbt ended. `results` is empty when it never came to run a node."""

    exit_code: int = 0
    invocation_id: str = ""
    total: int | None = None
    results: list[NodeResult] = field(default_factory=list)
    error: str = ""
    tail: str = ""

    @property
    def is_complete(self) -> bool:
        """dbt came to every node; what it did afterwards changes nothing."""
        return bool(self.results) and len(self.results) == self.total


def run_dbt_build(
    build: DbtBuild, on_node: Callable[[NodeResult, int, int | None], None], on_tick: Callable[[], None]
) -> DbtOutcome:
    """Run it to its end. A repeat rebuilds the same marts, also after a run that was killed.

    Args:
        build: What to run.
        on_node: Called when a node starts and when it has ended, with the nodes done and the nodes in all.
        on_tick: Called twice a second.

    Raises:
        Whatever the callbacks raise (a cancelled job, a lost lease), after dbt has been stopped.
    """
    _make_run_dir(build)
    outcome = DbtOutcome()
    tail: deque[str] = deque(maxlen=_TAIL_LINES)
    finished: set[str] = set()
    with _started(build) as process:
        for line in _iterate_lines(process, on_tick):
            event = parse_log_line(line)
            if event is None:
                tail.append(line)
                continue
            _note(outcome, event)
            if event.node is not None:
                if event.node.status != "running":
                    finished.add(event.node.unique_id)
                on_node(event.node, len(finished), outcome.total)
        outcome.exit_code = process.wait()
    outcome.tail = "\n".join(tail)
    _read_results(build.run_dir, outcome)
    _keep_parsed_project(build)
    return outcome


def _command(build: DbtBuild) -> list[str]:
    target = build.run_dir / "target"
    command = [sys.executable, "-m", "services.transform.adapters.dbt_child", str(os.getpid())]
    command += ["docs" if build.has_docs else "-"]
    command += ["--log-format", "json", "--log-level", "info", "--log-path", str(build.run_dir / "logs"), "build"]
    command += ["--project-dir", str(build.project_dir.resolve()), "--profiles-dir", str(build.project_dir.resolve())]
    command += ["--target-path", str(target)]
    command += ["--partial-parse-file-path", str(build.parsed_project)] if build.parsed_project.exists() else []
    command += ["--target", "duckdb" if "GTM_DUCKDB_CORE_PATH" in build.environment else "snowflake"]
    # Unit tests check the SQL on made-up rows, which is the suite's business; the others are only descriptions.
    for kind in ("unit_test", "exposure", "saved_query"):
        command += ["--exclude-resource-type", kind]
    command += ["--vars", json.dumps(build.variables)]
    command += ["--full-refresh"] if build.full_refresh else []
    command += ["--indirect-selection", "empty"] if build.is_exact else []
    command += ["--select", *build.select] if build.select else []
    return command


def _environment(build: DbtBuild) -> dict[str, str]:
    own = {key: value for key, value in os.environ.items() if not key.startswith("DBT_")}
    named = {"GTM_DBT_THREADS": str(build.threads), "GTM_DUCKDB_MEMORY_LIMIT": build.memory_limit}
    # dbt writes these into each line of its log, and into its run results.
    named |= {"DBT_ENV_CUSTOM_ENV_GTM_JOB_ID": build.run_name}
    named |= {"DBT_ENV_CUSTOM_ENV_GTM_REQUEST_ID": current_request_id() or ""}
    return {**own, **build.environment, **named, "DO_NOT_TRACK": "1", "PYTHONUNBUFFERED": "1"}


@contextmanager
def _started(build: DbtBuild) -> Iterator[subprocess.Popen[bytes]]:
    """dbt in a process group of its own, which is gone when the block ends, however it ends."""
    process = subprocess.Popen(  # nosec B603
        _command(build),
        cwd=_IMPORT_ROOT,
        env=_environment(build),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        _stop(process, build.stop_seconds)


def _stop(process: subprocess.Popen[bytes], stop_seconds: float) -> None:
    assert process.stdout is not None
    try:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(stop_seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    finally:
        process.stdout.close()


def _iterate_lines(process: subprocess.Popen[bytes], on_tick: Callable[[], None]) -> Iterator[str]:
    """Lines as they come; between them and while none comes, `on_tick`: each is a write to the job's row."""
    stream: IO[bytes] | None = process.stdout
    assert stream is not None
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        ticked_at = float("-inf")
        while True:
            if time.monotonic() - ticked_at >= _TICK_SECONDS:
                on_tick()
                ticked_at = time.monotonic()
            if not selector.select(_TICK_SECONDS):
                continue
            chunk = os.read(stream.fileno(), 65536)
            if not chunk:
                break
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line.decode(errors="replace") for line in lines)
    if rest:
        yield rest.decode(errors="replace")


def _note(outcome: DbtOutcome, event: LogEvent) -> None:
    outcome.invocation_id = event.invocation_id or outcome.invocation_id
    outcome.error = event.error or outcome.error
    outcome.total = event.total_nodes if event.total_nodes is not None else outcome.total


def _make_run_dir(build: DbtBuild) -> None:
    """A fresh folder; of older builds' folders the newest few stay."""
    shutil.rmtree(build.run_dir, ignore_errors=True)
    build.run_dir.mkdir(parents=True)
    others = [path for path in build.run_dir.parent.iterdir() if path != build.run_dir]
    for path in sorted(others, key=lambda path: path.stat().st_mtime, reverse=True)[_RUNS_KEPT - 1 :]:
        shutil.rmtree(path, ignore_errors=True)


def read_results_of_stopped(build: DbtBuild) -> list[NodeResult]:
    """What a dbt that was stopped still wrote; nothing where it was killed before."""
    outcome = DbtOutcome()
    try:
        _read_results(build.run_dir, outcome)
    except (OSError, ValueError, KeyError):  # cut off in the middle
        return []
    return outcome.results


def _read_results(run_dir: Path, outcome: DbtOutcome) -> None:
    path = run_dir / "target" / "run_results.json"
    if path.exists():
        document = json.loads(path.read_bytes())
        outcome.results = parse_run_results(document)
        if has_failed_tests(outcome.results):
            manifest = json.loads((run_dir / "target" / "manifest.json").read_bytes())
            outcome.results = with_tested_models(outcome.results, manifest)
        outcome.invocation_id = document["metadata"]["invocation_id"]  # the log's last one may be the documentation's


def publish_docs(build: DbtBuild, path: Path) -> bool:
    """Put the page where it is served, whole; False when dbt could not write one, so the last one stays."""
    page = build.run_dir / "target" / _DOCS_PAGE
    if not page.exists():
        return False
    page.replace(path)  # one file system: both are in dbt's working folder
    return True


def _keep_parsed_project(build: DbtBuild) -> None:
    """For the next build's start; whole or not at all, since two builds may end together on Snowflake."""
    parsed = build.run_dir / "target" / "partial_parse.msgpack"
    if parsed.exists():
        fresh = build.parsed_project.with_name(f"{build.run_name}.msgpack")
        shutil.copyfile(parsed, fresh)
        fresh.replace(build.parsed_project)
