"""What Salesforce and the settings get wrong: each is told with the mend, and without a secret."""

from typing import Any

import pytest
from pydantic import SecretStr

from services.ingest.adapters.sources import validate_sync_request
from services.ingest.settings import IngestSettings
from shared.contracts import SyncRequest
from shared.errors import GtmError, InvalidRequest, TerminalError, TransientError
from shared.redaction import redact
from tests.fakes.salesforce import Call, FakeSalesforce
from tests.fakes.salesforce_login import CLIENT_SECRET, make_key
from tests.fakes.salesforce_org import Org
from tests.fakes.salesforce_rest import FAULTS, Reply, error, to_json
from tests.ingest.conftest import Query
from tests.ingest.salesforce.conftest import SalesforceSync


def _refused(pull: SalesforceSync, kind: type[GtmError], code: str, *, named: str, **more: Any) -> GtmError:
    with pytest.raises(kind) as caught:
        pull("Account", **more)
    assert caught.value.code == code
    assert named in caught.value.detail
    assert CLIENT_SECRET not in caught.value.detail and "00Dfake" not in caught.value.detail
    return caught.value


def test_jwt_bearer_logs_in(pull: SalesforceSync, org: Org, with_key: dict[str, Any]) -> None:
    org.insert("Account", Name="Falkor")
    assert pull("Account", **with_key)["seen"] == 1


def test_the_token_that_a_login_answers_is_in_no_line(
    pull: SalesforceSync, salesforce: FakeSalesforce, org: Org
) -> None:
    org.insert("Account", Name="Falkor")
    pull("Account")
    assert salesforce.login.tokens and all(redact(f"said {token}") == "said ***" for token in salesforce.login.tokens)


def test_wrong_key(pull: SalesforceSync, salesforce: FakeSalesforce, with_key: dict[str, Any]) -> None:
    salesforce.login.key = make_key()
    _refused(
        pull, TerminalError, "crm-token-refused", named="GTM_SALESFORCE_PRIVATE_KEY_FILE doesn't belong", **with_key
    )


@pytest.mark.parametrize("content", [b"no key at all", None])
def test_unusable_key_file(pull: SalesforceSync, with_key: dict[str, Any], content: bytes | None) -> None:
    path = with_key["salesforce_private_key_file"]
    path.unlink() if content is None else path.write_bytes(content)
    _refused(pull, TerminalError, "source-not-configured", named=str(path), **with_key)


def test_user_is_not_authorised(pull: SalesforceSync, salesforce: FakeSalesforce, with_key: dict[str, Any]) -> None:
    salesforce.login.is_approved = False
    _refused(pull, TerminalError, "crm-token-refused", named="Admin approved users are pre-authorized", **with_key)


@pytest.mark.parametrize("seconds", [-900, 900])
def test_clock_skew(pull: SalesforceSync, salesforce: FakeSalesforce, with_key: dict[str, Any], seconds: int) -> None:
    salesforce.login.clock_skew_seconds = seconds
    side = "behind" if seconds > 0 else "ahead of"
    raised = _refused(pull, TerminalError, "crm-clock-skew", named=side, **with_key)
    assert "NTP" in raised.detail and any(f"{abs(seconds) + off} s" in raised.detail for off in (-1, 0, 1))


def test_wrong_client_secret(pull: SalesforceSync, settings: IngestSettings) -> None:
    _refused(
        pull,
        TerminalError,
        "crm-token-refused",
        named="GTM_SALESFORCE_CLIENT_SECRET",
        salesforce_client_secret=SecretStr("wrong"),
    )


def test_wrong_client_id(pull: SalesforceSync) -> None:
    _refused(pull, TerminalError, "crm-token-refused", named="GTM_SALESFORCE_CLIENT_ID", salesforce_client_id="other")


def test_no_user_to_run_as(pull: SalesforceSync, salesforce: FakeSalesforce) -> None:
    salesforce.login.has_run_as_user = False
    _refused(pull, TerminalError, "crm-token-refused", named="Client Credentials Flow")


PASSING = {
    "unknown": to_json({"error": "unknown_error", "error_description": "retry your request"}, 400),
    "rate": to_json({"error": "invalid_grant", "error_description": "login rate exceeded"}, 400),
    "429": to_json({"error": "too_many_requests"}, 429),
    "unavailable": to_json({"error": "temporarily_unavailable"}, 400),
    "no gzip": Reply(200, b"{}", {"Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize("trouble", PASSING.values(), ids=PASSING.keys())
def test_login_is_tried_again_where_the_error_passes(
    pull: SalesforceSync, salesforce: FakeSalesforce, org: Org, trouble: Reply
) -> None:
    org.insert("Account", Name="Falkor")
    replies = [trouble, trouble]
    salesforce.faults = lambda call: None if call.is_data or not replies else replies.pop()
    assert pull("Account")["seen"] == 1 and not replies
    salesforce.faults = lambda call: None if call.is_data else trouble
    _refused(pull, TransientError, "crm-unavailable", named="did not answer properly")


def test_login_that_does_not_answer(pull: SalesforceSync, salesforce: FakeSalesforce) -> None:
    salesforce.faults = lambda call: None if call.is_data else FAULTS["503"]
    _refused(pull, TransientError, "crm-unavailable", named="GTM_SALESFORCE_LOGIN_URL")


def test_token_that_expires_is_renewed(pull: SalesforceSync, salesforce: FakeSalesforce, org: Org) -> None:
    for number in range(9):
        org.insert("Account", Name=f"{number}")
    salesforce.page_rows = 2
    salesforce.on_request = lambda call: salesforce.login.expire_all() if len(salesforce.calls) % 3 == 0 else None
    assert pull("Account")["inserted"] == 9
    assert sum(not call.is_data for call in salesforce.calls) > 2


def test_token_that_is_never_good(pull: SalesforceSync, salesforce: FakeSalesforce) -> None:
    salesforce.faults = lambda call: (
        error(401, "INVALID_SESSION_ID", "Session expired or invalid") if call.is_data else None
    )
    _refused(pull, TerminalError, "crm-token-refused", named="also after a new login")


def test_object_without_permission(pull: SalesforceSync, org: Org) -> None:
    org.set_object("Account", is_allowed=False)
    raised = _refused(pull, TerminalError, "crm-scope-missing", named="Grant Read on it")
    assert raised.extensions["scopes"] == ["Account"]


def test_unknown_object_is_refused_at_once(settings: IngestSettings) -> None:
    request = SyncRequest(source="salesforce", options={"objects": ["Account", "Quote"]})
    with pytest.raises(InvalidRequest, match="there is no object 'Quote' here; known: Account"):
        validate_sync_request(request, settings)


def test_bad_record_id_is_refused_at_once(settings: IngestSettings) -> None:
    request = SyncRequest(source="salesforce", options={"records": {"Account": ["42"]}})
    with pytest.raises(InvalidRequest, match="'42' is no Salesforce id: it has 15 or 18 letters and digits"):
        validate_sync_request(request, settings)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"salesforce_login_url": None}, "GTM_SALESFORCE_LOGIN_URL"),
        ({"salesforce_client_secret": None}, "GTM_SALESFORCE_PRIVATE_KEY_FILE"),
        ({"salesforce_private_key_file": "x.pem"}, "GTM_SALESFORCE_USERNAME"),
    ],
)
def test_missing_settings_are_named(settings: IngestSettings, changed: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidRequest, match=named) as caught:
        validate_sync_request(SyncRequest(source="salesforce"), settings.model_copy(update=changed))
    assert caught.value.code == "source-not-configured"


def test_field_that_is_never_known(pull: SalesforceSync, salesforce: FakeSalesforce, org: Org) -> None:
    """Describe gives it and the query refuses it: a person must look."""
    message = "No such column 'Name' on entity 'Account'."
    salesforce.faults = lambda call: (
        error(400, "INVALID_FIELD", message) if "order by" in call.params.get("q", "") else None
    )
    _refused(pull, TerminalError, "crm-request-refused", named=message)


def test_malformed_pages(pull: SalesforceSync, salesforce: FakeSalesforce, org: Org) -> None:
    """Broken ones are asked for again; one that stays broken ends the attempt, and says what came."""
    org.insert("Account", Name="Falkor")
    broken = [FAULTS["html"], FAULTS["not-json"], FAULTS["truncated"], FAULTS["dropped"]]
    salesforce.faults = lambda call: broken.pop() if broken and "order by" in call.params.get("q", "") else None
    assert pull("Account")["seen"] == 1 and not broken
    salesforce.faults = lambda call: FAULTS["not-json"] if "order by" in call.params.get("q", "") else None
    org.tick(600)
    org.insert("Account", Name="Fuchur")
    _refused(pull, TransientError, "crm-unavailable", named="malformed page")


def test_short_pages_of_csv(pull: SalesforceSync, salesforce: FakeSalesforce, org: Org) -> None:
    """A page with fewer rows than it says is asked for again, never landed."""
    org.insert("Account", Name="Falkor")
    org.tick()
    short = Reply(200, b'"Id","Name"\n', {"Content-Type": "text/csv", "Sforce-NumberOfRecords": "1"})
    replies = [short, short]
    salesforce.faults = lambda call: replies.pop() if replies and call.path.endswith("/results") else None
    assert pull("Account", salesforce_bulk_rows=0)["seen"] == 1 and not replies
    salesforce.faults = lambda call: short if call.path.endswith("/results") else None
    _refused(
        pull,
        TransientError,
        "crm-unavailable",
        named="malformed page",
        salesforce_bulk_rows=0,
        request={"mode": "full"},
    )


SHAPES = {
    "limits": ("/limits", "DailyApiRequests"),
    "count": ("/queryAll", {"done": True, "records": []}),
    "delete log": ("/deleted", {"deletedRecords": [{"deletedDate": "2026-01-01"}], "latestDateCovered": "soon"}),
    "query job": ("/jobs/query", {"state": "UploadComplete"}),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_answers_of_another_shape(pull: SalesforceSync, salesforce: FakeSalesforce, org: Org, shape: str) -> None:
    """They end the attempt as a malformed page, and not as a fault of this program."""
    end, answer = SHAPES[shape]
    org.insert("Account", Name="Falkor")
    org.tick(600)
    pull("Account")
    org.tick(600)
    salesforce.faults = lambda call: to_json(answer) if call.path.endswith(end) else None
    bulk = {"salesforce_bulk_rows": 0, "request": {"mode": "full"}} if shape == "query job" else {}
    org.insert("Account", Name="Fuchur")
    _refused(pull, TransientError, "crm-unavailable", named="malformed page", **bulk)


def test_half_an_emoji(pull: SalesforceSync, org: Org, query: Query) -> None:
    org.insert("Account", Name="Falkor \ud83d")
    assert any("U+FFFD" in note for note in pull("Account")["notes"])
    assert query("select name from raw.salesforce_accounts") == [("Falkor \ufffd",)]


def test_records_by_id_are_read_again_when_their_pages_are_lost(
    pull: SalesforceSync, salesforce: FakeSalesforce, org: Org
) -> None:
    ids = [org.insert("Account", Name=f"{number}") for number in range(5)]
    salesforce.page_rows, lost = 2, [1, 1]

    def lose(call: Call) -> None:
        if "/query/" in call.path and lost:
            lost.pop()
            salesforce.forget_cursors()

    salesforce.on_request = lose
    assert pull(options={"records": {"Account": ids}})["inserted"] == 5 and not lost
    salesforce.on_request = lambda call: salesforce.forget_cursors()
    with pytest.raises(TransientError, match="lost the pages of Account") as caught:
        pull(options={"records": {"Account": ids}})
    assert caught.value.code == "crm-unavailable"


def test_empty_source_is_told(pull: SalesforceSync) -> None:
    result = pull("Account")
    assert result["seen"] == 0
    assert any("no records of Account" in note and "View All" in note for note in result["notes"])
