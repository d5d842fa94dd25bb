"""A CRM's no: whether it passes, and the final one as an error with the mend."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import httpx

from services.ingest.domain.crm_answers import Complaint, read_complaint, read_date, read_json, read_retry_after
from shared.errors import GtmError, TerminalError
from shared.redaction import redact

# 408 and 425 ask for it; 423: HubSpot has the record locked; 477: HubSpot moves the account and sends a Retry-After.
_PASSING: Final = frozenset({408, 423, 425, 429, 477})


class Refused(Exception):
    """An answer other than a success."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(response.status_code)
        self.status = response.status_code
        self.complaint = _complaint(response)
        self.retry_after = read_retry_after(response.headers, _their_now(response))

    @property
    def is_passing(self) -> bool:
        """The same call may succeed later."""
        is_passing = self.status in _PASSING or self.status >= 500 or self.complaint.is_crowded
        return is_passing and not self.complaint.is_quota


def refusal(source: str, method: str, path: str, status: int, complaint: Complaint) -> GtmError:
    """The error for an answer that no repeat can mend. It has the path and never the query, which may hold data."""
    said = f"{source} refused {method} {path} with status {status}: {complaint.message.rstrip('.')}."
    if complaint.is_quota:
        return TerminalError(
            f"{said} What was read has landed; start the sync again once the quota is renewed, and it goes on there.",
            code="crm-quota-reached",
            title="The CRM's quota is spent",
            source=source,
        )
    if 300 <= status < 400:
        return TerminalError(
            f"{source} answers {method} {path} with a redirect (status {status}), which is not followed since the "
            "token would go along. Set the CRM's address to the one that it names (see .env.example).",
            code="crm-redirected",
            title="The CRM's address redirects",
            source=source,
        )
    if status == 401:
        return TerminalError(
            f"{said} The credentials are not accepted, also after a new login. Check the source's settings in "
            ".env.example; where they are right, make a new token in the CRM.",
            code="crm-token-refused",
            title="The CRM refuses the credentials",
            source=source,
        )
    if status == 403:
        needed = f" Needed: {', '.join(complaint.scopes)}." if complaint.scopes else ""
        return TerminalError(
            f"{said}{needed} Grant it to the app or user whose credentials these are, then start the sync again.",
            code="crm-scope-missing",
            title="The CRM denies access",
            source=source,
            scopes=list(complaint.scopes),
        )
    code, title = ("crm-not-found", "The CRM has no such thing") if status == 404 else _REFUSED
    return TerminalError(said, code=code, title=title, source=source, crm_codes=list(complaint.codes))


_REFUSED = ("crm-request-refused", "The CRM refuses the request")


def _their_now(response: httpx.Response) -> datetime:
    """A date in Retry-After is one of the CRM's clock."""
    return read_date(response.headers.get("date", "")) or datetime.now(UTC)


def _complaint(response: httpx.Response) -> Complaint:
    """A CRM may repeat what it was sent, and its words go where no log's filter is, such as a job's notes."""
    complaint = read_complaint({"message": response.text[:200]})
    with suppress(ValueError):
        complaint = read_complaint(read_json(response.content)[0])
    return replace(complaint, message=redact(complaint.message))
