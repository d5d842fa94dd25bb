"""Calls to a CRM over real HTTP, with everything that CRMs answer when they don't answer."""

import io
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
import structlog

from services.ingest.adapters.crm_http import CrmClient, Patience
from services.ingest.domain.sources import SyncRun, SyncStopped
from shared.errors import GtmError, TerminalError, TransientError
from shared.redaction import hide_renewed
from tests.fakes.toy_crm import Reply, ToyCrm, to_json

TOKEN = "pat-eu1-0123456789abcdef"


class NoBudget:
    """Counts; Redis has its own tests."""

    def __init__(self) -> None:
        self.taken = 0
        self.held: list[float] = []

    def acquire(self, pause: Callable[[float], None]) -> float:
        self.taken += 1
        return 0

    def hold(self, seconds: float) -> None:
        self.held.append(seconds)


class Caller:
    """A client of the toy CRM whose pauses are only noted."""

    def __init__(self, crm: ToyCrm, **changed: Any) -> None:
        self.pauses: list[float] = []
        self.notes: list[str] = []
        self.logins = 0
        self.budget = NoBudget()
        run = SyncRun("job-1", "full", datetime.now(UTC), pause=self.pause, note=self.notes.append)
        self.client = CrmClient(
            crm.url,
            authenticate=self.login,
            budgets={"all": self.budget},  # type: ignore[dict-item]  # counts, and has the same two methods
            source="toy",
            run=run,
            **{"patience": Patience(tries=4, first_pause=0.5), **changed},
        )

    def pause(self, seconds: float) -> None:
        if seconds:
            self.pauses.append(seconds)

    def login(self) -> dict[str, str]:
        self.logins += 1
        hide_renewed(f"{TOKEN}-{self.logins}")  # as every login does
        return {"Authorization": f"Bearer {TOKEN}-{self.logins}"}

    def get(self, path: str = "/records") -> Any:
        return self.client.get(path, params={"limit": 2}, budget="all")


@pytest.fixture
def crm() -> Iterator[ToyCrm]:
    with ToyCrm(3) as server:
        yield server


@pytest.fixture
def caller(crm: ToyCrm) -> Iterator[Caller]:
    one = Caller(crm)
    yield one
    one.client.close()


TROUBLES = {
    "429": to_json({"message": "slow down"}, 429),
    "500": to_json({}, 500),
    "502": Reply(502, b"<html>bad gateway</html>"),
    "503": Reply(503),
    "504": Reply(504),
    "locked": to_json({}, 423),
    "reset": Reply(is_reset=True),
    "broken off": Reply(200, b'{"results": [1, 2, 3]}', {"Content-Type": "application/json"}, cut_at=9),
    "half a page": Reply(200, b'{"results": [1, 2', {"Content-Type": "application/json"}),
    "no JSON": Reply(200, b"<html>maintenance</html>"),
    "no UTF-8": Reply(200, b'{"name": "\xff\xfe"}'),
    "no gzip": Reply(200, b"{}", {"Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES.keys())
def test_what_passes_is_waited_out(crm: ToyCrm, caller: Caller, trouble: Reply) -> None:
    crm.faults.extend([trouble, trouble])
    assert [record["id"] for record in caller.get()["results"]] == ["1", "2"]
    assert len(crm.requests) == caller.budget.taken == 3, "each try is taken from the budget"
    first, second = caller.pauses
    assert 0.25 <= first <= 0.5 <= second <= 1, "pauses double, with jitter"


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES.keys())
def test_what_does_not_pass_fails_the_try_and_not_the_job(crm: ToyCrm, caller: Caller, trouble: Reply) -> None:
    crm.faults.extend([trouble] * 4)
    with pytest.raises(TransientError, match="toy did not answer GET /records properly") as caught:
        caller.get()
    assert caught.value.code == "crm-unavailable" and len(crm.requests) == 4 and len(caller.pauses) == 3


def test_a_timeout_is_waited_out(crm: ToyCrm, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    caller.client._http.timeout = httpx.Timeout(0.2)
    go_on = threading.Event()
    crm.on_request = lambda request: None if len(crm.requests) > 1 else go_on.wait(5) and None
    assert len(caller.get()["results"]) == 2
    go_on.set()
    assert len(crm.requests) == 2 and len(caller.pauses) == 1


def test_nobody_listening_is_waited_out_and_told() -> None:
    with ToyCrm() as crm:
        pass
    caller = Caller(crm)
    with pytest.raises(TransientError, match="ConnectError"):
        caller.get()
    assert len(caller.pauses) == 3
    caller.client.close()


@pytest.mark.parametrize("kind", ["seconds", "date"])
def test_retry_after_is_honoured_by_everyone(crm: ToyCrm, caller: Caller, kind: str) -> None:
    """As a date it is one of the CRM's clock, which may be an hour off."""
    theirs = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    text = "7" if kind == "seconds" else format_datetime(theirs + timedelta(seconds=7), usegmt=True)
    crm.faults.append(to_json({}, 429, **{"Retry-After": text, "Date": format_datetime(theirs, usegmt=True)}))
    caller.get()
    assert caller.pauses == [7] and caller.budget.held == [7]


@pytest.mark.parametrize("text", ["0", "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_a_retry_after_of_no_time_keeps_the_pauses(crm: ToyCrm, caller: Caller, text: str) -> None:
    """Else all tries are spent within a few milliseconds."""
    crm.faults.extend([to_json({}, 503, **{"Retry-After": text})] * 3)
    caller.get()
    assert len(caller.pauses) == 3 and sum(caller.pauses) > 1.5


def test_a_retry_after_that_says_nothing_is_none(crm: ToyCrm, caller: Caller) -> None:
    crm.faults.append(to_json({}, 429, **{"Retry-After": "soon"}))
    caller.get()
    assert caller.pauses[0] <= 0.5 and caller.budget.held == []


def test_a_wait_of_hours_gives_the_worker_back(crm: ToyCrm, caller: Caller) -> None:
    crm.faults.append(to_json({}, 477, **{"Retry-After": "86400"}))
    with pytest.raises(TransientError, match="asks to wait 86400 s"):
        caller.get()
    assert caller.pauses == []


def test_an_expired_token_is_renewed_once_and_the_page_read(crm: ToyCrm, caller: Caller) -> None:
    crm.accepts = lambda token: token == f"{TOKEN}-2"
    assert len(caller.get()["results"]) == 2 and caller.logins == 2
    caller.get()
    assert caller.logins == 2, "the new one is kept"


def test_a_token_that_is_refused_again_ends_the_sync(crm: ToyCrm, caller: Caller) -> None:
    crm.accepts = lambda token: False
    with pytest.raises(TerminalError, match="the token has expired.*Check the source's settings") as caught:
        caller.get()
    assert caught.value.code == "crm-token-refused" and caller.logins == 2


SCOPES = {
    "status": "error",
    "message": "This app hasn't been granted all required scopes to make this call.",
    "category": "MISSING_SCOPES",
    "errors": [{"message": "One or more are required.", "context": {"requiredGranularScopes": ["crm.objects.read"]}}],
}
REFUSALS = {
    "hubspot scope": (to_json(SCOPES, 403), "crm-scope-missing", "Needed: crm.objects.read"),
    "salesforce permission": (
        to_json([{"errorCode": "INSUFFICIENT_ACCESS", "message": "no read on Lead"}], 403),
        "crm-scope-missing",
        "no read on Lead",
    ),
    "salesforce quota": (
        to_json([{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "TotalRequests Limit exceeded."}], 403),
        "crm-quota-reached",
        "goes on there",
    ),
    "hubspot day": (
        to_json({"message": "daily limit", "errorType": "RATE_LIMIT", "policyName": "DAILY"}, 429),
        "crm-quota-reached",
        "daily limit",
    ),
    "oauth": (
        to_json({"error": "invalid_grant", "error_description": "user hasn't approved this consumer"}, 400),
        "crm-request-refused",
        "hasn't approved",
    ),
    "unknown property": (
        to_json([{"errorCode": "INVALID_FIELD", "message": "No such column 'X'"}], 400),
        "crm-request-refused",
        "No such column 'X'",
    ),
    "unknown object": (to_json({"message": "no object type"}, 404), "crm-not-found", "no object type"),
    "no words": (Reply(405), "crm-request-refused", "status 405"),
    "redirect": (Reply(302, headers={"Location": "https://elsewhere.example/"}), "crm-redirected", "not followed"),
}


@pytest.mark.parametrize(("answer", "code", "text"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refusal_is_told_in_the_crm_s_own_words(
    crm: ToyCrm, caller: Caller, answer: Reply, code: str, text: str
) -> None:
    crm.faults.append(answer)
    with pytest.raises(TerminalError) as caught:
        caller.get()
    assert caught.value.code == code and text in caught.value.detail and "?" not in caught.value.detail
    assert len(crm.requests) == 1, "repeating changes nothing"


def test_no_secret_is_in_an_error_or_a_log_line(crm: ToyCrm, caller: Caller) -> None:
    """Not even where the CRM repeats what it was sent."""
    echo = {"message": f"bad header 'Bearer {TOKEN}-1', token {TOKEN}-1"}
    errors: list[GtmError] = []
    with structlog.testing.capture_logs() as lines:
        for status, faults in ((400, 1), (503, 4)):
            crm.faults.extend([to_json(echo, status)] * faults)
            with pytest.raises(GtmError) as caught:
                caller.get()
            errors.append(caught.value)
    assert len(lines) >= 3
    for text in [json.dumps(lines), *(json.dumps(error.to_problem()) + str(error) for error in errors)]:
        assert TOKEN not in text


@pytest.mark.parametrize("odd", ["\n", "\x00", "\u200b"])
def test_a_token_that_no_header_can_hold_is_not_shown(crm: ToyCrm, caller: Caller, odd: str) -> None:
    """The library's own message is the header's text with the odd character escaped."""
    caller.client._authenticate = lambda: {"Authorization": f"Bearer {TOKEN}{odd}x"}
    with structlog.testing.capture_logs() as lines, pytest.raises(GtmError) as caught:
        caller.get()
    assert TOKEN not in json.dumps([lines, caught.value.to_problem()]) + str(caught.value) and crm.requests == []


@pytest.mark.parametrize("half", [b"\\ud83d", b"\\uDE00", b"\xed\xa0\xbd"])
def test_half_a_character_is_no_text_and_is_told(crm: ToyCrm, caller: Caller, half: bytes) -> None:
    """As a CRM cuts an emoji in two at the longest length of a field. A whole pair stays what it is."""
    body = b'{"name": "Acme ' + half + b'!", "city": "\\ud83d\\ude00"}'
    crm.faults.extend([Reply(200, body), Reply(200, b'{"city": "\\ud83d\\ude00"}')])
    assert caller.get() == {"name": "Acme \ufffd!", "city": "\U0001f600"}
    assert len(caller.notes) == 1 and "U+FFFD" in caller.notes[0]
    assert caller.get() == {"city": "\U0001f600"} and len(caller.notes) == 1


def test_a_stopped_sync_makes_no_further_call(crm: ToyCrm) -> None:
    def stop(_seconds: float) -> None:
        raise SyncStopped

    caller = Caller(crm)
    caller.pause = stop  # type: ignore[method-assign]
    caller.client._run = SyncRun("job-1", "full", datetime.now(UTC), pause=stop)
    with pytest.raises(SyncStopped):
        caller.get()
    assert crm.requests == []
    caller.client.close()


def test_a_download_is_whole_or_begun_anew(crm: ToyCrm, caller: Caller) -> None:
    csv = b"Id,Name\n" + b"1,x\n" * 700_000
    whole = Reply(200, csv, {"Sforce-Locator": "next", "Content-Type": "text/csv"})
    crm.faults.extend([Reply(200, csv, cut_at=2_500_000), Reply(503), whole])
    file = io.BytesIO()
    headers = caller.client.download("/results", file, accept="text/csv", budget="all")
    assert file.read() == csv and headers["sforce-locator"] == "next"
    crm.faults.append(Reply(200, b"Id\n"))
    caller.client.download("/results", file, accept="text/csv", budget="all")
    assert file.getvalue() == b"Id\n", "nothing is left of what the file held"
    crm.faults.append(to_json({"message": "gone"}, 404))
    with pytest.raises(TerminalError, match="gone"):
        caller.client.download("/results", file, accept="text/csv", budget="all")


def test_a_crm_whose_clock_differs_is_told_once_and_asked_for_its_time(crm: ToyCrm) -> None:
    caller = Caller(crm)
    caller.get()
    assert caller.notes == []
    theirs = datetime.now(UTC) - timedelta(minutes=20)
    page = to_json({"results": []}, **{"Date": format_datetime(theirs, usegmt=True)})
    crm.faults.extend([page, page])
    caller.get()
    assert abs(caller.client.server_time() - theirs) < timedelta(seconds=5)
    caller.get()
    assert len(caller.notes) == 1 and "toy is about 20 min behind this machine's" in caller.notes[0]
    caller.client.close()


def test_what_is_sent_and_observed(crm: ToyCrm) -> None:
    seen: list[httpx.Headers] = []
    caller = Caller(crm, observe=seen.append)
    crm.faults.append(to_json({"ok": 1}, 207, **{"Sforce-Limit-Info": "api-usage=5/100"}))
    assert caller.client.post("/batch", json={"ids": [1]}, budget="all") == {"ok": 1}
    crm.faults.append(Reply(204))
    assert caller.client.call("DELETE", "/jobs/1", budget="all") is None
    assert [(one.method, one.body) for one in crm.requests] == [("POST", {"ids": [1]}), ("DELETE", None)]
    assert seen[0]["sforce-limit-info"] == "api-usage=5/100"
    caller.client.close()
