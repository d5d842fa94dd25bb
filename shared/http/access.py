"""Who may call: closed by default.

A route declares the scope that it needs: `dependencies=[require_scope("read")]`. A caller shows an API key as a bearer
token; the operations database knows the keys (shared/access/). Without one, a service that runs as GTM_ENV=local
answers callers of its own machine who call it by a loopback name, and nobody else.
"""

import ipaddress
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Final

from fastapi import FastAPI, Request
from fastapi.params import Depends as Dependency

from shared.access.audit import AuditEvent
from shared.access.callers import Caller, local_caller
from shared.access.key_ring import KeyRing
from shared.access.key_store import KeyStore
from shared.access.keys import SCOPES, Scope
from shared.access.recorder import AccessRecorder
from shared.access.refusals import Forbidden, ScopeMissing, Unauthorised
from shared.access.retired import require_no_retired_setting
from shared.errors import GtmError
from shared.logging import current_request_id, get_logger
from shared.operations.database import OperationsDatabase
from shared.operations.outages import OUTAGES
from shared.settings import app_settings

log = get_logger(__name__)

_LOOPBACK_NAME: Final = re.compile(r"(localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:[0-9]+)?", re.IGNORECASE)
_OF_PROXIES: Final = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
_LONGEST_ADDRESS: Final = 100
_HOW: Final = "Send the header `Authorization: Bearer <key>`; `gtm keys create` makes a key."


class RequireScope:
    """Dependency of a route: a caller with this scope, then in `request.state.caller`.

    On the way that most calls take it waits for nothing: no thread, no database.
    """

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, request: Request) -> None:
        caller = await identify(request)
        request.state.caller = caller
        if self.scope not in caller.scopes:
            raise ScopeMissing(caller, self.scope)


_REQUIRED: Final = {scope: RequireScope(scope) for scope in SCOPES}


async def require(request: Request, scope: Scope) -> None:
    """For a route that asks for a key only under some setting: raises as `identify()` does, and ScopeMissing."""
    await _REQUIRED[scope](request)


def require_scope(scope: Scope) -> Dependency:
    """For a route's or router's `dependencies`; routes of the product take it by `guarded()`, with the rate limit."""
    return Dependency(_REQUIRED[scope])


def install_access(app: FastAPI, database: OperationsDatabase) -> None:
    """Opens nothing until a call comes."""
    app.state.keys = KeyRing(KeyStore(database))


@contextmanager
def access_control(app: FastAPI) -> Iterator[None]:
    """Around serving: says who is let in, and writes down who was not.

    Raises:
        TerminalError: `setting-retired`.
    """
    require_no_retired_setting()
    if app_settings().env == "local":
        log.warning("serving_without_keys", callers="this machine, and whoever has a key", reason="GTM_ENV=local")
    else:
        _warn_without_keys(app)
    with AccessRecorder(app.state.database) as app.state.recorder:
        yield


def _warn_without_keys(app: FastAPI) -> None:
    """Nobody can call until there is a key: that is closed enough to start with."""
    try:
        if not KeyStore(app.state.database).has_active():
            log.warning("no_active_api_key", mend="gtm keys create, or python -m shared.access create in a container")
    except OUTAGES as error:
        log.warning("api_keys_not_readable", reason=type(error).__name__)


async def identify(request: Request) -> Caller:
    """Who calls.

    Raises:
        Unauthorised: no key, or none that counts.
        Forbidden: without a key, from elsewhere than this machine.
        TransientError: `operations-unavailable`.
    """
    given = request.headers.getlist("authorization")
    if not given and app_settings().env == "local":
        return _local_caller(request)
    if not given:
        raise Unauthorised(_HOW, is_given=False)
    scheme, _, text = given[0].partition(" ")
    if len(given) > 1 or scheme.lower() != "bearer":
        raise Unauthorised(f"One header `Authorization` of the scheme Bearer is wanted. {_HOW}")
    keys: KeyRing = request.app.state.keys
    caller = await keys.identify(text.strip(" "), caller_address(request))
    assert caller.key_id is not None
    request.app.state.recorder.note_use(caller.key_id)
    return caller


async def may_see_internals(request: Request) -> bool:
    """Whether an open route may show more than everybody's: nobody is refused, whoever has no key with `read` sees
    less."""
    try:
        return "read" in (await identify(request)).scopes
    except GtmError:
        return False


def note_refusal(request: Request, error: GtmError) -> None:
    """Into the audit log, coalesced: a 401 or 403 that a route answers, webhooks' among them.

    With the key that was tried, where there is such a key: after a leak that is what one looks for.
    """
    known = getattr(error, "caller", None) or getattr(request.state, "caller", None)
    caller = known or Caller("anonymous", address=caller_address(request))
    is_webhook = error.code.startswith("webhook")
    event = AuditEvent(
        action="webhook.refused" if is_webhook else "call.refused",
        caller=caller,
        target=getattr(request.scope.get("route"), "path", None),  # as declared: what was sent may be anything
        status=error.status,
        request_id=current_request_id(),
        detail={"code": error.code},
    )
    request.app.state.recorder.note_refusal(event)


def caller_address(request: Request) -> str | None:
    """The peer's IP address; behind a proxy that uvicorn trusts (FORWARDED_ALLOW_IPS) the one that the proxy names."""
    if request.client is None or len(request.client.host) > _LONGEST_ADDRESS:
        return None
    return _to_address(request.client.host)


@lru_cache(maxsize=1_024)
def _to_address(host: str) -> str | None:
    """Few callers call often, and parsing takes as long as looking a key up."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:  # a proxy may name anything
        return None
    # Without the zone: an interface of ours at best, and behind a proxy any text that somebody sent.
    return str(address if address.version == 4 else ipaddress.IPv6Address(int(address)))


def _local_caller(request: Request) -> Caller:
    address = caller_address(request)
    if address is None or not ipaddress.ip_address(address).is_loopback:
        raise _not_local("answers its own machine only")
    if any(name in request.headers for name in _OF_PROXIES):
        # A proxy on this machine calls from the loopback on behalf of anybody.
        raise _not_local("answers no proxy")
    hosts = request.headers.getlist("host")
    if len(hosts) != 1 or not _LOOPBACK_NAME.fullmatch(hosts[0]):
        # A page in this machine's browser whose name was made to resolve to 127.0.0.1 (DNS rebinding) comes from the
        # loopback too, but it can't change the Host header.
        raise _not_local("answers to localhost, 127.0.0.1 and [::1] only")
    if _is_of_another_site(request, hosts[0]):
        raise _not_local("answers no page of another site")
    return local_caller(address)


def _is_of_another_site(request: Request, host: str) -> bool:
    """A page that this machine's browser shows may post a form here: it reads no answer, but what it asked is done.
    Browsers say whose page it is; other clients say nothing."""
    own = (f"http://{host}".lower(), f"https://{host}".lower())
    is_foreign = any(origin.lower() not in own for origin in request.headers.getlist("origin"))
    return is_foreign or "cross-site" in request.headers.getlist("sec-fetch-site")


def _not_local(what: str) -> Forbidden:
    return Forbidden(f"Without a key this service {what}. {_HOW}", code="forbidden", title="Forbidden")
