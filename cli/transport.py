"""HTTP to the three services: time-outs, retries, and problem documents as typed errors."""

import ssl
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ValidationError

from cli.errors import CliError, RequestRefused, ServiceFailed, ServiceUnreachable
from cli.models import Problem
from cli.settings import Endpoint

POLL_SECONDS: Final = 0.5
RETRY_WAITS_SECONDS: Final = (0.2, 0.5, 1.0)
_LONGEST_WAIT_SECONDS: Final = 30.0
_TIMEOUT: Final = httpx.Timeout(10.0, connect=3.0)
_STREAM_TIMEOUT: Final = httpx.Timeout(60.0, connect=3.0)  # a comment keeps a quiet stream alive every 15 s

AnswerT = TypeVar("AnswerT", bound=BaseModel)


class Transport:
    """Raises ServiceUnreachable (no answer), RequestRefused (4xx) or ServiceFailed (5xx, or an answer not ours)."""

    def __init__(self, endpoints: Mapping[str, Endpoint], *, key: str | None, retry_waits: Sequence[float]) -> None:
        self.endpoints = dict(endpoints)
        self._retry_waits = retry_waits
        self._headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self._http: dict[str, httpx.Client] = {}

    def close(self) -> None:
        for http in self._http.values():
            http.close()

    def get(
        self,
        service: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """An answer, or 304 where `headers` allow it."""
        response = self.send(service, "GET", path, params=query, headers=headers)
        raise_for(service, self.endpoints[service].url, response)
        return response

    def stream(self, service: str, path: str, headers: Mapping[str, str] | None = None) -> Iterator[str]:
        """The lines of an answer that has no end of its own."""
        url = self.endpoints[service].url
        accepted = {"Accept": "text/event-stream", **(headers or {})}
        try:
            with self._client(service).stream("GET", url + path, headers=accepted, timeout=_STREAM_TIMEOUT) as response:
                if not response.is_success:
                    response.read()
                    raise_for(service, url, response)
                yield from response.iter_lines()
        except httpx.TransportError as error:
            raise ServiceUnreachable(service, url, _cause(error)) from None

    def post(
        self,
        service: str,
        path: str,
        body: Any,
        *,
        idempotency_key: str | None = None,
        answer_seconds: float | None = None,
    ) -> httpx.Response:
        """Repeated by itself on connection errors and 503, always with the same Idempotency-Key.

        `idempotency_key`: by default a new one. `answer_seconds`: patience with an answer that takes long by nature.
        """
        timeout = httpx.Timeout(answer_seconds, connect=_TIMEOUT.connect) if answer_seconds else _TIMEOUT
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        for wait in (*self._retry_waits, None):
            try:
                response = self.send(service, "POST", path, json=body, headers=headers, timeout=timeout)
                raise_for(service, self.endpoints[service].url, response)
                return response
            except (ServiceUnreachable, ServiceFailed) as error:
                if wait is None or not _may_pass(error):
                    raise
                time.sleep(wait)
        raise AssertionError("the last round returns or raises")

    def send(self, service: str, method: str, path: str, **options: Any) -> httpx.Response:
        """One request; any status is an answer."""
        url = self.endpoints[service].url
        try:
            return self._client(service).request(method, url + path, **options)
        except httpx.TransportError as error:
            raise ServiceUnreachable(service, url, _cause(error)) from None

    def _client(self, service: str) -> httpx.Client:
        """Made when it is needed, and with certificates only for https: loading them takes longer than a call."""
        if service not in self._http:
            url = self.endpoints[service].url
            verify = True if url.startswith("https://") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self._http[service] = httpx.Client(
                headers=self._headers, timeout=_TIMEOUT, verify=verify, trust_env=not _is_loopback(url)
            )
        return self._http[service]


def raise_for(service: str, url: str, response: httpx.Response) -> None:
    """Turn a refusal into its error; `url` is named where the answer is nothing of ours."""
    if response.is_success or response.status_code == httpx.codes.NOT_MODIFIED:
        return
    problem = _to_problem(service, url, response)
    is_busy = response.status_code == httpx.codes.TOO_MANY_REQUESTS  # the request is well: later it may be taken
    if response.is_client_error and not is_busy and problem.code != "not-ours":
        raise RequestRefused(problem)
    raise ServiceFailed(problem)


def _to_problem(service: str, url: str, response: httpx.Response) -> Problem:
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        problem = None
    if problem is None or not problem.model_fields_set & {"title", "detail"}:
        return Problem(
            title="Not an answer of Fleet GTM",
            status=response.status_code,
            detail=f"{url} answered {response.status_code} {response.reason_phrase} without a problem document: "
            f"is that the {service} service?",
            code="not-ours",
        )
    if response.status_code == httpx.codes.UNAUTHORIZED:
        problem.detail = f"{problem.detail or problem.title} `gtm` sends the key that GTM_API_KEY holds."
    return problem


def parse_answer(service: str, response: httpx.Response, model: type[AnswerT]) -> AnswerT:
    """Raises ServiceFailed naming the first member that does not fit."""
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise ServiceFailed(
            Problem(
                title="An answer that this gtm can't read",
                status=response.status_code,
                detail=f"{response.request.url} answered something else than a {model.__name__.lstrip('_')} "
                f"({where}: {first['msg']}). Is {service} there, and of the same version as gtm?",
                code="not-ours",
            )
        ) from None


def _may_pass(error: CliError) -> bool:
    return isinstance(error, ServiceUnreachable) or error.problem.status == httpx.codes.SERVICE_UNAVAILABLE


def wait_seconds(response: httpx.Response) -> float:
    """Retry-After, in seconds or as an HTTP date (RFC 9110, 10.2.3); half a second without one."""
    value = response.headers.get("Retry-After")
    if value is None:
        return POLL_SECONDS
    try:
        seconds = float(int(value))
    except OverflowError:
        seconds = _LONGEST_WAIT_SECONDS
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return POLL_SECONDS
    return min(max(seconds, 0.05), _LONGEST_WAIT_SECONDS)


def _cause(error: httpx.TransportError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    if isinstance(error, httpx.ConnectError):
        return "connection refused" if "refused" in str(error).lower() else f"no connection: {error}"
    return str(error) or type(error).__name__


def _is_loopback(url: str) -> bool:
    """A proxy from the environment can't reach this machine's own ports."""
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
