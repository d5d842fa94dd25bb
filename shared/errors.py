"""Every error that a user can meet.

    GtmError                     has a problem `code`, an HTTP status and a mend
    ├── TransientError           the same call may succeed later: retried with backoff
    │   └── Overloaded           too much at once (429)
    └── TerminalError            repeating changes nothing: fails at once and says why
        ├── InvalidRequest       what the caller sent is wrong (422)
        └── NotFound             the thing named does not exist (404)

A flow raises these; tasks.py turns them into the job's `error`, http.py into `application/problem+json` (RFC 9457).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from shared.redaction import redact_values


def problem_type(code: str) -> str:
    """RFC 9457's `type`: a path that every service serves (docs/problems.md), whatever name it is called by."""
    return f"/problems/{code}"


class GtmError(Exception):
    """An error with an address: what went wrong, and in `detail` the mend.

    `code` is stable and ends the problem's `type`. Extensions are JSON values that name the field, the row or the node;
    they must not hold personal data or secrets.
    """

    code: str
    status: int
    title: str
    is_transient: ClassVar[bool] = False
    headers: Mapping[str, str] = MappingProxyType({})
    """Of the response, beside the problem: what the status asks for (RFC 9110)."""

    def __init__(self, detail: str, *, code: str, title: str, status: int = 500, **extensions: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code
        self.title = title
        self.status = status
        self.extensions = extensions

    def to_problem(self) -> dict[str, Any]:
        """RFC 9457 members; `detail` says what to do about it. Secrets that came into a text are taken out of it, and
        what is longer than a message is cut."""
        told: dict[str, Any] = redact_values({"title": self.title, "detail": self.detail, **self.extensions})
        # Codes are ours and fixed: a password that is a common word must not change them.
        fixed = {"type": problem_type(self.code), "title": "", "status": self.status, "detail": "", "code": self.code}
        return fixed | told


class TransientError(GtmError):
    """The same call may succeed later."""

    is_transient = True
    headers = {"Retry-After": "5"}

    def __init__(self, detail: str, *, code: str, title: str, status: int = 503, **extensions: Any) -> None:
        super().__init__(detail, code=code, title=title, status=status, **extensions)


class Overloaded(TransientError):
    """The caller asks for more than can be taken for another `retry_after` seconds (429): nothing was accepted."""

    def __init__(self, detail: str, *, code: str, title: str, retry_after: int, **extensions: Any) -> None:
        super().__init__(detail, code=code, title=title, status=429, **extensions)
        self.headers = {"Retry-After": str(retry_after)}


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
