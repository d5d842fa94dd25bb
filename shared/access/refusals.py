"""What a caller meets who may not: 401 without a valid key, 403 with one that lacks the scope, each with its header."""

from typing import Final, Literal

from shared.access.callers import Caller
from shared.access.keys import Scope
from shared.errors import GtmError

_REALM: Final = 'Bearer realm="fleet-gtm"'


class Unauthorised(GtmError):
    """No key, or none that counts (401).

    Whether a key is unknown or its secret wrong stays open; that it has expired or was revoked is told to whoever knows
    the secret. `caller` is for the audit log: the holder who knows it, or who tries an id that there is.
    """

    def __init__(self, detail: str, *, is_given: bool = True, caller: Caller | None = None) -> None:
        super().__init__(detail, code="unauthorised", title="Not authorised", status=401)
        self.caller = caller
        self.headers = {"WWW-Authenticate": f'{_REALM}, error="invalid_token"' if is_given else _REALM}


class Forbidden(GtmError):
    """Known or not, this caller may not do that (403)."""

    def __init__(self, detail: str, *, code: Literal["forbidden", "scope-missing"], title: str) -> None:
        super().__init__(detail, code=code, title=title, status=403)


class ScopeMissing(Forbidden):
    """A valid key, for other things. `caller` is its holder."""

    def __init__(self, caller: Caller, scope: Scope) -> None:
        has = ", ".join(sorted(caller.scopes)) or "nothing"
        name = caller.name if caller.key_id else "NAME"
        super().__init__(
            f"This needs a key with the scope `{scope}`; {caller.name} has {has}. An operator makes one: "
            f"`gtm keys create --name {name} --scope {scope}`.",
            code="scope-missing",
            title="The key lacks a scope",
        )
        self.caller = caller
        self.headers = {"WWW-Authenticate": f'{_REALM}, error="insufficient_scope", scope="{scope}"'}
