"""Every error that a user can meet.

    GtmError                     has a problem `code`, an HTTP status and a mend
    ├── TransientError           the same call may succeed later: retried with backoff
    └── TerminalError            repeating changes nothing: fails at once and says why
        ├── InvalidRequest       what the caller sent is wrong (422)
        └── NotFound             the thing named does not exist (404)

A flow raises these; tasks.py turns them into the job's `error`, http.py into `application/problem+json` (RFC 9457).
"""

from typing import Any, ClassVar


class GtmError(Exception):
    """An error with an address: what went wrong, and in `detail` the mend.

    `code` is stable and ends the problem's `type` (docs/problems.md#<code>). Extensions are JSON values that name the
    field, the row or the node; they must not hold personal data or secrets.
    """

    code: str
    status: int
    title: str
    is_transient: ClassVar[bool] = False

    def __init__(self, detail: str, *, code: str, title: str, status: int = 500, **extensions: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code
        self.title = title
        self.status = status
        self.extensions = extensions

    def to_problem(self) -> dict[str, Any]:
        """RFC 9457 members; `detail` says what to do about it."""
        return {
            "type": f"https://fleet-gtm.example/problems/{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            **self.extensions,
        }


class TransientError(GtmError):
    """The same call may succeed later."""

    is_transient = True

    def __init__(self, detail: str, *, code: str, title: str, status: int = 503, **extensions: Any) -> None:
        super().__init__(detail, code=code, title=title, status=status, **extensions)


class TerminalError(GtmError):
    """Repeating changes nothing until a person mends what `detail` names."""


class InvalidRequest(TerminalError):
    """The caller's request can't be carried out as sent."""

    def __init__(
        self,
        detail: str,
        *,
        code: str = "invalid-request",
        title: str = "The request is not valid",
        **extensions: Any,
    ) -> None:
        super().__init__(detail, code=code, title=title, status=422, **extensions)


class NotFound(TerminalError):
    """The named thing does not exist."""

    def __init__(self, detail: str, *, code: str = "not-found", title: str = "Not found", **extensions: Any) -> None:
        super().__init__(detail, code=code, title=title, status=404, **extensions)
