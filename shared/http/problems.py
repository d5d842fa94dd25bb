"""Every error leaves as `application/problem+json` (RFC 9457), with the mend in `detail`."""

import json
from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from shared.errors import GtmError, InvalidRequest, TransientError
from shared.http.access import note_refusal
from shared.logging import current_request_id, get_logger
from shared.operations.outages import OUTAGES
from shared.redaction import redact

log = get_logger(__name__)

REQUEST_ID_HEADER: Final = "X-Request-ID"
PROBLEM_MEDIA_TYPE: Final = "application/problem+json"

_READING: Final = ("GET", "HEAD")
_UNSURE: Final = (
    "What was sent may have been accepted all the same: repeat it with the same Idempotency-Key, which gives the same "
    "job; without one look at GET /v1/jobs first. "
)
_MOST_ERRORS: Final = 20
_MOST_OF_A_NAME: Final = 500

_CODES: Final = {
    400: ("body-unreadable", "The body can't be read"),
    401: ("unauthorised", "Not authorised"),
    403: ("forbidden", "Forbidden"),
    404: ("route-not-found", "No such resource"),
    405: ("method-not-allowed", "Method not allowed"),
    413: ("body-too-large", "The request body is too large"),
    414: ("address-too-long", "The address is too long"),
    415: ("media-type-not-supported", "The body is of another media type"),
    431: ("headers-too-large", "The request's headers are too large"),
}
_TITLES: Final = {
    401: "No key, or one that is not valid",
    403: "The key may not do this",
    404: "There is no such thing",
    409: "The state of what is named does not allow it",
    410: "It is gone",
    422: "The request is not valid",
    429: "Too much at once",
    503: "Try again later",
}


class FieldProblem(BaseModel):
    """One refused field of a request."""

    field: str = Field(examples=["limit"])
    message: str = Field(examples=["Input should be greater than or equal to 1"])


class Problem(BaseModel):
    """RFC 9457. `code` is stable and ends `type`, where the problem is explained; further members name what is
    concerned."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "/problems/job-not-found",
                    "title": "Unknown job",
                    "status": 404,
                    "detail": "No job has the id '0b5e'. GET /v1/jobs lists them.",
                    "code": "job-not-found",
                }
            ]
        },
    )

    type: str = Field(json_schema_extra={"format": "uri-reference"})
    title: str
    status: int = Field(ge=400, le=599)
    detail: str
    code: str = Field(pattern="^[a-z][a-z0-9-]*$")
    errors: list[FieldProblem] | None = Field(None, description="each field of a request that was refused")


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`: these statuses carry a problem, those after which a repeat may succeed say when."""
    content = {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    wait = {"Retry-After": {"description": "seconds", "schema": {"type": "integer", "minimum": 0}}}
    return {
        status: {"description": _TITLES.get(status, "Problem"), "content": content}
        | ({"headers": wait} if status in (429, 503) else {})
        for status in statuses
    }


def to_response(problem: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """The problem's own status is the response's. In ASCII, since what a caller sent may be no text at all: a lone half
    of a surrogate pair has no UTF-8."""
    content = json.dumps(dict(problem), separators=(",", ":")).encode("ascii")
    return Response(content, int(problem["status"]), dict(headers or {}), PROBLEM_MEDIA_TYPE)


def install_problem_handlers(app: FastAPI) -> None:
    """Domain errors, validation, HTTP errors, the operations database, and whatever is left."""
    app.add_exception_handler(GtmError, _on_gtm_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_error)
    for outage in OUTAGES:
        app.add_exception_handler(outage, _on_operations_database_down)
    app.add_exception_handler(Exception, _on_crash)


def to_http_problem(status: int, detail: str) -> Response:
    """Of an error of HTTP itself, by its status."""
    code, title = _CODES.get(status, ("http-error", "Request failed"))
    return to_response(GtmError(detail, code=code, title=title, status=status).to_problem())


def _on_gtm_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, GtmError)
    if error.status in (401, 403):
        note_refusal(request, error)
    # Every 401 says what it asks for (RFC 9110, 11.6.1): where no key is, it is the sender's signature.
    challenge = {"WWW-Authenticate": 'Signature realm="fleet-gtm"'} if error.status == 401 else {}
    return to_response(error.to_problem(), {**challenge, **error.headers})


def _on_invalid_request(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(item["type"] == "json_invalid" for item in found):
        return to_response(_unreadable("it is not JSON").to_problem())
    errors = [{"field": _field(item["loc"]), "message": item["msg"]} for item in found[:_MOST_ERRORS]]
    named = "; ".join(f"{item['field']}: {item['message']}" for item in errors)
    if len(found) > _MOST_ERRORS:
        named += f"; and {len(found) - _MOST_ERRORS} more"
    problem = InvalidRequest(f"{named}. The accepted fields are listed at /docs.", errors=errors)
    return to_response(problem.to_problem())


def _field(location: tuple[int | str, ...]) -> str:
    parts = [str(part) for part in location if part not in ("body", "query", "path", "header")]
    return redact(".".join(parts), most=_MOST_OF_A_NAME) or "body"


def _unreadable(why: str) -> GtmError:
    code, title = _CODES[400]
    return GtmError(f"The body can't be read: {why}. Send a JSON object.", code=code, title=title, status=400)


def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code, title = _CODES.get(error.status_code, ("http-error", "Request failed"))
    detail = str(error.detail)
    if error.status_code == 400:
        return to_response(_unreadable("numbers too long, nested too deeply, or not in UTF-8").to_problem())
    if error.status_code == 404:
        detail = f"{request.url.path} does not exist here. The routes of this service are listed at /docs."
    elif error.status_code == 405:
        detail = f"{request.method} is not allowed on {request.url.path}. The routes are listed at /docs."
    problem = GtmError(detail, code=code, title=title, status=error.status_code)
    return to_response(problem.to_problem(), _with_head(error.headers or {}))


def _with_head(headers: Mapping[str, str]) -> dict[str, str]:
    """Routes don't name HEAD: the frame answers it for each that has GET."""
    return {name: f"{value}, HEAD" if (name, value) == ("Allow", "GET") else value for name, value in headers.items()}


def _on_operations_database_down(request: Request, error: Exception) -> Response:
    log.error("operations_database_unavailable", reason=str(getattr(error, "orig", error)))
    # The commit may have been carried out, and its answer lost.
    unsure = "" if request.method in _READING else _UNSURE
    problem = TransientError(
        f"The operations database can't be reached, is locked, or gave no answer. {unsure}Try again; if it stays, "
        "check GTM_OPERATIONS_URL and `python -m shared.operations.migrate`.",
        code="operations-unavailable",
        title="The operations database is unavailable",
    )
    return to_response(problem.to_problem(), problem.headers)


def _on_crash(_request: Request, error: Exception) -> Response:
    log.error("request_crashed", exc_info=error)
    problem = GtmError(
        f"This is a defect of the service. Its log has the traceback under the {REQUEST_ID_HEADER} of this response.",
        code="internal-error",
        title="Internal error",
    )
    # Starlette calls this one outside of every middleware, so also of the one that sets the header.
    request_id = current_request_id()
    return to_response(problem.to_problem(), {REQUEST_ID_HEADER: request_id} if request_id else None)
