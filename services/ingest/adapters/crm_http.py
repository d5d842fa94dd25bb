"""One way to call a CRM: within its rate, with its whims waited out, and every refusal told with the mend."""

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import IO, Any, Final, TypeVar

import httpx

from services.ingest.adapters.crm_refusals import Refused, refusal
from services.ingest.adapters.rate_budget import RateBudget
from services.ingest.domain.crm_answers import read_date, read_json
from services.ingest.domain.sources import SyncRun
from shared.errors import TransientError
from shared.logging import get_logger

log = get_logger(__name__)

_TIMEOUT: Final = httpx.Timeout(60, connect=10)
_SKEW_SECONDS: Final = 60.0
_CHUNK_BYTES: Final = 1024 * 1024

T = TypeVar("T")
Authenticate = Callable[[], Mapping[str, str]]


@dataclass(frozen=True)
class Patience:
    """How long one call is tried. Pauses double from the first to the longest, with jitter."""

    tries: int = 8
    first_pause: float = 0.5
    longest_pause: float = 30.0
    longest_retry_after: float = 600.0
    """A CRM that asks for a longer wait is unavailable: the job gives its worker back."""


class CrmClient:
    """JSON calls to one CRM. Safe to use from several threads.

    `authenticate` gives the headers that prove who we are; it is called before the first call and again after a 401.
    `observe` sees the headers of every answer, such as what is left of a quota. Redirects are not followed: a token
    goes nowhere but to `base_url`.
    """

    def __init__(
        self,
        base_url: str,
        *,
        authenticate: Authenticate,
        budgets: Mapping[str, RateBudget],
        source: str,
        run: SyncRun,
        patience: Patience = Patience(),
        observe: Callable[[httpx.Headers], None] | None = None,
    ) -> None:
        # trust_env: a proxy that the operator has set (HTTPS_PROXY) is the only way out of many networks.
        self._http = httpx.Client(base_url=base_url, timeout=_TIMEOUT, follow_redirects=False, trust_env=True)
        self._authenticate = authenticate
        self._budgets = budgets
        self._source = source
        self._run = run
        self._patience = patience
        self._observe = observe
        self._login = threading.Lock()
        self._proof: Mapping[str, str] | None = None
        self._skew: timedelta | None = None
        self._has_told_skew = False

    def get(self, path: str, *, params: Mapping[str, Any] | None = None, budget: str) -> Any:
        """Parsed JSON; None for an empty answer. Raises as `call`."""
        return self.call("GET", path, params=params, budget=budget)

    def post(self, path: str, *, json: Any, params: Mapping[str, Any] | None = None, budget: str) -> Any:
        """As `get`. Only for calls that may be repeated: a lost answer is asked for again."""
        return self.call("POST", path, json=json, params=params, budget=budget)

    def call(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, json: Any = None, budget: str
    ) -> Any:
        """Any method. `budget` names the rate budget that the call is taken from.

        Raises:
            TransientError: `crm-unavailable`, when all tries failed; `rate-budget-unavailable`.
            TerminalError: `crm-token-refused`, `crm-scope-missing`, `crm-not-found`, `crm-quota-reached`,
                `crm-request-refused`, `crm-redirected`, with the CRM's own words.
            SyncStopped: the sync is to end.
        """

        def send(headers: Mapping[str, str]) -> Any:
            response = self._http.request(method, path, params=params, json=json, headers=headers)
            self._look_at(response)
            if not response.is_success:
                raise Refused(response)
            return None if not response.content else self._read(response.content)

        return self._persist(method, path, budget, send)

    def download(
        self, path: str, into: IO[bytes], *, params: Mapping[str, Any] | None = None, accept: str, budget: str
    ) -> httpx.Headers:
        """A whole body into a file, such as a bulk result's CSV; begun anew when it breaks off. Raises as `call`."""

        def send(headers: Mapping[str, str]) -> httpx.Headers:
            into.seek(0)
            into.truncate()
            accepting = {**headers, "accept": accept}
            with self._http.stream("GET", path, params=params, headers=accepting) as response:
                self._look_at(response)
                if not response.is_success:
                    response.read()
                    raise Refused(response)
                for chunk in response.iter_bytes(_CHUNK_BYTES):
                    into.write(chunk)
                    self._run.pause(0)
            into.seek(0)
            return response.headers

        return self._persist("GET", path, budget, send)

    def server_time(self) -> datetime:
        """Now by the CRM's clock, to the second; ours where it hasn't told. Bookmarks are capped by this."""
        return datetime.now(UTC) + (self._skew or timedelta())

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _persist(self, method: str, path: str, budget: str, send: Callable[[Mapping[str, str]], T]) -> T:
        """Try until it succeeds, is refused for good, or patience ends."""
        has_logged_in_again = False
        failure = ""
        for attempt in range(self._patience.tries):
            self._run.pause(0)
            self._budgets[budget].acquire(self._run.pause)
            proof = self._prove()
            wait = None
            try:
                return send(proof)
            except Refused as refused:
                if refused.status == 401 and not has_logged_in_again:
                    has_logged_in_again = True
                    self._forget(proof)
                    continue
                if not refused.is_passing:
                    raise refusal(self._source, method, path, refused.status, refused.complaint) from None
                failure = f"status {refused.status}: {refused.complaint.message}"
                wait = refused.retry_after
                if refused.status == 429 and wait is not None:
                    self._budgets[budget].hold(min(wait, self._patience.longest_retry_after))
            except httpx.LocalProtocolError:  # its text is the header that can't be sent, in a form that hides a token
                failure = "LocalProtocolError: the request can't be sent, look for odd characters in the credentials"
            except httpx.RequestError as error:  # a body that can't be unpacked is no TransportError
                failure = f"{type(error).__name__}: {error}"
            except ValueError as error:  # json's and Unicode's errors are ValueErrors
                failure = f"malformed page, the body is no JSON: {error}"
            if wait is not None and wait > self._patience.longest_retry_after:
                failure += f". It asks to wait {wait:.0f} s"
                break
            if attempt + 1 < self._patience.tries:
                self._wait(method, path, attempt, wait, failure)
        raise _unavailable(self._source, method, path, failure)

    def _wait(self, method: str, path: str, attempt: int, wait: float | None, failure: str) -> None:
        backoff = min(self._patience.longest_pause, self._patience.first_pause * 2**attempt)
        jitter = backoff * random.uniform(0.5, 1)  # nosec B311: it spreads retries and keeps no secret
        seconds = max(wait or 0.0, jitter)  # "Retry-After: 0" doesn't mean that the tries may be spent at once
        log.warning("crm_call_again", crm=self._source, method=method, path=path, in_seconds=round(seconds, 2))
        log.debug("crm_call_failed", crm=self._source, reason=failure)
        self._run.pause(seconds)

    def _read(self, body: bytes) -> Any:
        answer, has_halves = read_json(body)
        if has_halves:
            self._run.note(
                f"{self._source} sent text with halves of characters in it, such as a cut emoji. No text holds them, "
                "so each is stored as U+FFFD."
            )
        return answer

    def _prove(self) -> Mapping[str, str]:
        with self._login:
            if self._proof is None:
                self._proof = dict(self._authenticate())
            return self._proof

    def _forget(self, proof: Mapping[str, str]) -> None:
        """Log in anew, unless another thread has done so since."""
        with self._login:
            if self._proof is proof:
                self._proof = None

    def _look_at(self, response: httpx.Response) -> None:
        if self._observe is not None:
            self._observe(response.headers)
        told = read_date(response.headers.get("date", ""))
        if told is None:
            return
        self._skew = told - datetime.now(UTC)
        seconds = self._skew.total_seconds()
        if abs(seconds) > _SKEW_SECONDS and not self._has_told_skew:
            self._has_told_skew = True
            side = "ahead of" if seconds > 0 else "behind"
            self._run.note(
                f"The clock of {self._source} is about {_rough(abs(seconds))} {side} this machine's. Cursors rest on "
                "the CRM's own times, so nothing is missed; set this machine's clock by NTP."
            )


def _unavailable(source: str, method: str, path: str, failure: str) -> TransientError:
    return TransientError(
        f"{source} did not answer {method} {path} properly in spite of several tries; the last one: {failure}. The job "
        "is tried again and goes on where it was.",
        code="crm-unavailable",
        title="The CRM is unavailable",
        source=source,
    )


def _rough(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"
