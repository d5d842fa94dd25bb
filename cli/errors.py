"""What can go wrong between the terminal and a job's end, each with its exit code (docs/cli.md)."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

from pydantic import ValidationError

from cli.models import Problem
from shared.settings import explain_wrong_settings


class ExitCode(IntEnum):
    """What scripts may rely on."""

    SUCCEEDED = 0
    FAILED = 1
    REFUSED = 2
    UNREACHABLE = 3
    CANCELLED = 4
    INTERRUPTED = 130
    READER_GONE = 141


class CliError(Exception):
    """An error that ends the command; `problem` is what `--json` prints."""

    exit_code: ExitCode

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail or problem.title)
        self.problem = problem


class RequestRefused(CliError):
    """A service answered 4xx: the request, not the service, has to change."""

    exit_code = ExitCode.REFUSED


class BadSetting(CliError):
    """A setting or an option makes no sense; nothing was sent."""

    exit_code = ExitCode.REFUSED

    def __init__(self, detail: str, *, title: str = "A setting is not valid", **extensions: Any) -> None:
        super().__init__(Problem(title=title, detail=detail, code="bad-setting", **extensions))


class ServiceUnreachable(CliError):
    """No answer: connection refused, a time-out, a name that does not resolve."""

    exit_code = ExitCode.UNREACHABLE

    def __init__(self, service: str, url: str, cause: str) -> None:
        detail = (
            f"{service} does not answer at {url} ({cause}). Start it with `make up`, "
            f"or set {url_setting(service)} to where it runs."
        )
        super().__init__(
            Problem(title="A service can't be reached", detail=detail, code="service-unreachable", service=service)
        )


class ServiceFailed(CliError):
    """A service answered 429 or 5xx, or something that no service of ours says."""

    exit_code = ExitCode.UNREACHABLE


def url_setting(service: str) -> str:
    """The setting that moves a service: ingest -> GTM_INGEST_URL."""
    return f"GTM_{service.upper()}_URL"


def to_bad_setting(error: ValidationError) -> BadSetting:
    """Every setting that is wrong, by its name."""
    lines = "\n".join(explain_wrong_settings(error))
    return BadSetting(f"{lines}\nMend it in the environment or in .env.")


def to_field_errors(errors: list[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Pydantic's errors in the shape of a service's 422: field and message."""
    return [{"field": ".".join(str(part) for part in error["loc"]), "message": str(error["msg"])} for error in errors]
