"""What every command does alike: connect, start, watch, report, and leave with the documented exit code."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import typer
from pydantic import BaseModel, ValidationError

from cli.client import GtmClient, connect
from cli.client.gtm import StartRequest
from cli.errors import BadSetting, CliError, ExitCode, to_field_errors
from cli.models import Job
from cli.output import Output
from cli.progress import job_view
from cli.render import render_failure, render_finished
from cli.results import render_missing
from cli.settings import read_settings
from cli.watch import WatchingStopped, follow, way_back
from shared.contracts import JobState

EXIT_CODE_OF_STATE: Final = {
    JobState.SUCCEEDED: ExitCode.SUCCEEDED,
    JobState.FAILED: ExitCode.FAILED,
    JobState.CANCELLED: ExitCode.CANCELLED,
}

RequestT = TypeVar("RequestT", bound=BaseModel)


@dataclass(frozen=True)
class Session:
    """One command's client and output."""

    client: GtmClient
    output: Output

    def start(self, request: StartRequest, *, watch: bool) -> None:
        """Start a job; to its end with `watch`. Ends the command with the job's exit code."""
        polled = self.client.start(request)
        if not watch:
            if self.output.as_json:
                self.output.json(polled.job.to_json())
            self.output.say(f"{polled.job.kind} {polled.job.id} is {polled.job.state.value}.")
            self.output.say(way_back(polled.job), "dim")
            return
        self.output.note(f"{polled.job.kind} {polled.job.id}")
        self.finish(follow(self.client, polled, job_view(self.output.err)))

    def finish(self, job: Job) -> None:
        """Report a finished job and leave with its exit code."""
        if self.output.as_json:
            self.output.json(job.to_json())
            if job.state is JobState.FAILED:
                render_failure(self.output, job)
        else:
            render_finished(self.output, job)
        if job.state is JobState.SUCCEEDED and render_missing(self.output, job):
            raise typer.Exit(ExitCode.FAILED)
        raise typer.Exit(EXIT_CODE_OF_STATE[job.state])


@contextmanager
def session(*, as_json: bool) -> Iterator[Session]:
    """Errors of the API become one clear message (and a problem on stdout with `--json`) and an exit code."""
    output = Output(as_json=as_json)
    with reporting_errors(output):
        try:
            with connect(read_settings()) as client:
                yield Session(client, output)
        except WatchingStopped as stopped:
            output.note(
                f"\nStopped watching; {stopped.job.kind} {stopped.job.id} goes on. {way_back(stopped.job)}", "yellow"
            )
            if as_json:
                output.json(stopped.job.to_json())
            raise typer.Exit(ExitCode.INTERRUPTED) from None


@contextmanager
def reporting_errors(output: Output) -> Iterator[None]:
    """A CliError ends the command with its message, its problem on stdout where JSON is wanted, and its exit code."""
    try:
        yield
    except CliError as error:
        output.problem(error.problem)
        if output.as_json:
            output.json(error.problem.model_dump(mode="json", exclude_none=True))
        raise typer.Exit(error.exit_code) from None


def to_request(model: type[RequestT], **values: Any) -> RequestT:
    """The request, checked as its service would.

    Raises:
        BadSetting: with one line per field.
    """
    try:
        return model(**values)
    except ValidationError as error:
        raise BadSetting(
            "Nothing was sent.", title="The request is not valid", errors=to_field_errors(list(error.errors()))
        ) from None
