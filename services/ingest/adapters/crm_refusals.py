"""A CRM's final no, as an error with the mend."""

from services.ingest.domain.crm_answers import Complaint
from shared.errors import GtmError, TerminalError


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
