"""`gtm warehouse init`: schemas and tables before the first job, on either engine.

Each service makes its own, by its own code: here they are only started, one after the other.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Annotated, Any, Final

import typer

from cli.errors import CliError, ExitCode
from cli.models import Problem
from cli.options import EXIT_CODES, JsonOption
from cli.output import Output
from cli.session import reporting_errors
from cli.text import counted

_SERVICES: Final = ("ingest", "transform", "scoring")

warehouse_app = typer.Typer(help="Make the warehouse ready.", no_args_is_help=True)


class SetupFailed(CliError):
    """A service's set-up was refused; what it had made stays, and a repeat goes on."""

    exit_code = ExitCode.FAILED


@warehouse_app.callback()
def warehouse() -> None:
    """Make the warehouse ready."""


@warehouse_app.command(epilog=EXIT_CODES)
def init(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the statements and run none.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Create the schemas and tables that are missing, with their comments; a repeat changes nothing."""
    output = Output(as_json=as_json)
    needed: dict[str, list[str]] = {}
    with reporting_errors(output):
        for service in _SERVICES:
            needed[service] = []
            for statement in _set_up(service, dry_run=dry_run):
                needed[service].append(statement)
                if dry_run:
                    output.say(f"{statement};")
            if not dry_run:
                output.say(f"{service}: {_said(len(needed[service]))}")
    if as_json:
        output.json({"dry_run": dry_run, "statements": needed})
    elif dry_run and not any(needed.values()):
        output.say("Nothing is missing.", "green")


def _said(statements: int) -> str:
    return f"ran {counted(statements, 'statement')}" if statements else "nothing was missing"


def _set_up(service: str, *, dry_run: bool) -> Iterator[str]:
    """Its statements, as they are printed.

    Raises:
        SetupFailed: with the service's own problem, or the end of what it printed.
    """
    command = [sys.executable, "-m", f"services.{service}.adapters.table_setup", *(["--dry-run"] if dry_run else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    documents = [_parsed(line) for line in done.stdout.splitlines()]
    yield from (document["statement"] for document in documents if "statement" in document)
    problem = next((document["problem"] for document in documents if "problem" in document), None)
    if problem is not None:
        raise SetupFailed(Problem.model_validate(problem))
    if done.returncode != 0 or not any(document.get("done") for document in documents):
        said = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        title = f"The set-up of {service} broke off"
        raise SetupFailed(Problem(title=title, detail=said[0], code="setup-failed", service=service))


def _parsed(line: str) -> dict[str, Any]:
    try:
        document = json.loads(line)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
