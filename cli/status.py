"""`gtm status`: is every service there and ready, and what is in the queue?"""

from dataclasses import asdict, dataclass
from typing import Any

from rich.text import Text

from cli.client import GtmClient
from cli.errors import CliError, ExitCode
from cli.models import Check, Job
from cli.output import Output
from cli.render import render_jobs
from cli.text import plain
from shared.contracts import JobState


@dataclass(frozen=True)
class ServiceStatus:
    """One service; `state` is ready, unavailable (it answers, a check fails) or unreachable."""

    url: str
    url_from: str
    state: str
    version: str | None
    checks: dict[str, Check]
    detail: str | None = None


@dataclass(frozen=True)
class Status:
    """All services, and the jobs that run or wait (None when nobody could be asked)."""

    services: dict[str, ServiceStatus]
    jobs: list[Job] | None
    jobs_problem: str | None

    @property
    def exit_code(self) -> ExitCode:
        ready = all(service.state == "ready" for service in self.services.values())
        return ExitCode.SUCCEEDED if ready and self.jobs is not None else ExitCode.UNREACHABLE

    def to_json(self) -> dict[str, Any]:
        services = {
            name: {**asdict(service), "checks": {check: found.to_json() for check, found in service.checks.items()}}
            for name, service in self.services.items()
        }
        jobs = None if self.jobs is None else [job.to_json() for job in self.jobs]
        return {"services": services, "jobs": jobs, "jobs_problem": self.jobs_problem}


def read_status(client: GtmClient) -> Status:
    """Ask everyone; nobody's silence hides the others' answers."""
    services = {name: _read_service(client, name) for name in client.endpoints}
    try:
        jobs = [job for state in (JobState.RUNNING, JobState.QUEUED) for job in client.jobs(state=state).items]
    except CliError as error:
        return Status(services, None, str(error))
    return Status(services, jobs, None)


def _read_service(client: GtmClient, name: str) -> ServiceStatus:
    endpoint = client.endpoints[name]
    try:
        readiness = client.readiness(name)
    except CliError as error:
        return ServiceStatus(endpoint.url, endpoint.source, "unreachable", None, {}, str(error))
    state = "ready" if readiness.status == "ok" else "unavailable"
    return ServiceStatus(endpoint.url, endpoint.source, state, readiness.version, readiness.checks)


def render_status(output: Output, status: Status) -> None:
    """A line per service, a line per check that fails, the queue."""
    table = output.new_table("service", "state", "version", "address", "checks")
    for name, service in status.services.items():
        checks = "  ".join(f"{check} {'ok' if found.ok else 'FAILS'}" for check, found in service.checks.items())
        address = f"{service.url} ({service.url_from})"
        table.add_row(*map(Text, (name, service.state, service.version or "-", plain(address), plain(checks))))
    output.table(table)
    for name, service in status.services.items():
        if service.detail:
            output.note(service.detail, "red")
        for check, found in service.checks.items():
            if not found.ok:
                output.note(f"{name}: {check}: {plain(found.detail or 'fails')}", "red")
    if status.jobs:
        render_jobs(output, status.jobs, more=False)
    elif status.jobs is not None:
        output.say("No job runs or waits.")
    elif status.jobs_problem not in {service.detail for service in status.services.values()}:
        output.note(f"The queue can't be read: {status.jobs_problem}", "red")
