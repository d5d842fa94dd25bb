"""Who may call: closed by default.

With GTM_API_TOKEN every call carries it as a bearer token. Without one a service starts only as GTM_ENV=local, and
answers callers of its own machine alone, who call it by a loopback name.
"""

import hmac
import ipaddress
import re

from fastapi import Request
from fastapi.security import HTTPBearer

from shared.errors import GtmError, TerminalError
from shared.logging import get_logger
from shared.settings import AppSettings, app_settings

log = get_logger(__name__)

_LOOPBACK_NAME = re.compile(r"(localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:[0-9]+)?", re.IGNORECASE)

bearer_scheme = HTTPBearer(auto_error=False, description="GTM_API_TOKEN")


def require_closed(settings: AppSettings) -> None:
    """At start: refuse to run open to a network.

    Raises:
        TerminalError: `open-service`, in production without GTM_API_TOKEN.
    """
    if settings.api_token is not None:
        return
    if settings.env != "local":
        raise TerminalError(
            "GTM_API_TOKEN is not set. Set it (`openssl rand -hex 32`), or GTM_ENV=local to serve this machine only.",
            code="open-service",
            title="The service would be open to everyone",
        )
    log.warning("serving_without_token", callers="this machine only", reason="GTM_ENV=local and no GTM_API_TOKEN")


async def require_caller(request: Request) -> None:
    """Dependency of every route but health, metrics, webhooks (those carry signatures), and the API's own description
    (/docs, /openapi.json), which holds nothing of the data or the project."""
    settings = app_settings()
    if settings.api_token is None:
        if not _is_loopback(request):
            raise _forbidden("Without GTM_API_TOKEN this service answers its own machine only.")
        if not _LOOPBACK_NAME.fullmatch(request.headers.get("host", "")):
            # A page in this machine's browser whose name was made to resolve to 127.0.0.1 (DNS rebinding) comes from
            # the loopback too, but it can't change the Host header.
            raise _forbidden("Without GTM_API_TOKEN this service answers to localhost, 127.0.0.1 and [::1] only.")
        return
    credentials = await bearer_scheme(request)
    given = credentials.credentials.encode() if credentials else b""
    if not hmac.compare_digest(given, settings.api_token.get_secret_value().encode()):
        raise GtmError(
            "Send the header `Authorization: Bearer <GTM_API_TOKEN>`.",
            code="unauthorised",
            title="Not authorised",
            status=401,
        )


def _forbidden(detail: str) -> GtmError:
    return GtmError(f"{detail} Set the token to serve others.", code="forbidden", title="Forbidden", status=403)


def _is_loopback(request: Request) -> bool:
    try:
        return request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
