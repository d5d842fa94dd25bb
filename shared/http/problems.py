"""Every error leaves as `application/problem+json` (RFC 9457), with the mend in `detail`."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from asgi_correlation_id import correlation_id
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from shared.errors import GtmError, InvalidRequest, TransientError
from shared.logging import get_logger

log = get_logger(__name__)

REQUEST_ID_HEADER = "X-Request-ID"

_CODES = {
    401: ("unauthorised", "Not authorised"),
    403: ("forbidden", "Forbidden"),
    404: ("route-not-found", "No such resource"),
    405: ("method-not-allowed", "Method not allowed"),
    413: ("body-too-large", "The request body is too large"),
}


class Problem(BaseModel):
    """RFC 9457. `code` is stable; `errors` names each field of a request that was refused."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: str


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`: these statuses carry a problem."""
    content = {"application/problem+json": {"schema": Problem.model_json_schema()}}
    return {status: {"description": "Problem", "content": content} for status in statuses}


def to_response(problem: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The problem's own status is the response's."""
    return JSONResponse(
        dict(problem),
        status_code=int(problem["status"]),
        media_type="application/problem+json",
        headers=dict(headers or {}),
    )


def install_problem_handlers(app: FastAPI) -> None:
    """Domain errors, validation, HTTP errors, the operations database, and whatever is left."""
    app.add_exception_handler(GtmError, _on_gtm_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(sa.exc.OperationalError, _on_operations_database_down)
    app.add_exception_handler(sa.exc.TimeoutError, _on_operations_database_down)
    app.add_exception_handler(Exception, _on_crash)


def _on_gtm_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, GtmError)
    return to_response(error.to_problem(), {"Retry-After": "5"} if error.is_transient else None)


def _on_invalid_request(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = [{"field": _field(item["loc"]), "message": item["msg"]} for item in error.errors()]
    named = "; ".join(f"{item['field']}: {item['message']}" for item in errors)
    problem = InvalidRequest(f"{named}. The accepted fields are listed at /docs.", errors=errors)
    return to_response(problem.to_problem())


def _field(location: tuple[int | str, ...]) -> str:
    parts = [str(part) for part in location if part not in ("body", "query", "path", "header")]
    return ".".join(parts) or "body"


def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code, title = _CODES.get(error.status_code, ("http-error", "Request failed"))
    detail = str(error.detail)
    if error.status_code == 404:
        detail = f"{request.url.path} does not exist here. The routes of this service are listed at /docs."
    elif error.status_code == 405:
        detail = f"{request.method} is not allowed on {request.url.path}. The routes are listed at /docs."
    problem = GtmError(detail, code=code, title=title, status=error.status_code)
    return to_response(problem.to_problem(), error.headers)


def _on_operations_database_down(_request: Request, error: Exception) -> JSONResponse:
    log.error("operations_database_unavailable", reason=str(getattr(error, "orig", error)))
    problem = TransientError(
        "The operations database can't be reached or is locked, so nothing was accepted. Try again; if it stays, check "
        "GTM_OPERATIONS_URL and `python -m shared.operations.migrate`.",
        code="operations-unavailable",
        title="The operations database is unavailable",
    )
    return to_response(problem.to_problem(), {"Retry-After": "5"})


def _on_crash(_request: Request, error: Exception) -> JSONResponse:
    log.error("request_crashed", exc_info=error)
    problem = GtmError(
        f"This is a defect of the service. Its log has the traceback under the {REQUEST_ID_HEADER} of this response.",
        code="internal-error",
        title="Internal error",
    )
    # Starlette calls this one outside of every middleware, so also of the one that sets the header.
    request_id = correlation_id.get()
    return to_response(problem.to_problem(), {REQUEST_ID_HEADER: request_id} if request_id else None)
