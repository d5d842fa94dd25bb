"""Logging in to Salesforce: OAuth 2.0 JWT bearer with a private key, client credentials with a secret.

Sources: Salesforce Help, "OAuth 2.0 JWT Bearer Flow for Server-to-Server Integration" (the assertion must end within
5 minutes, the user must be pre-authorised for the app) and "OAuth 2.0 Client Credentials Flow".
"""

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import jwt

from services.ingest.adapters.crm_http import Patience
from services.ingest.domain.crm_answers import read_date
from services.ingest.domain.sources import SyncRun
from services.ingest.settings import IngestSettings
from shared.errors import TerminalError, TransientError
from shared.redaction import hide_renewed
from shared.web_addresses import require_service_url

_DOMAINS: Final = (
    ".salesforce.com",
    ".force.com",
    ".salesforce.mil",
    ".sfcrmproducts.cn",
)  # Help: "My Domain URL Formats"
_PATH: Final = "/services/oauth2/token"
_JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_VALID_SECONDS: Final = 180
_SKEW_SECONDS: Final = 60
_TIMEOUT: Final = httpx.Timeout(30, connect=10)
_TRIES: Final = 4
_PASSING: Final = frozenset({408, 429})
# forcedotcom/datacloud-jdbc pull request 140, amazon-connect-salesforce-lambda issue 43 ("retry your request").
_PASSING_ERRORS: Final = frozenset({"unknown_error", "server_error", "temporarily_unavailable"})
_PASSING_WORDS: Final = re.compile(r"\b(retry|try again|rate (limit )?exceeded)\b", re.IGNORECASE)

# OAuth's error, words of its description, the mend. The first that fits; the descriptions are those that are known.
_MENDS: Final[tuple[tuple[str, str, str], ...]] = (
    (
        "invalid_grant",
        "approved this consumer",
        "The user of GTM_SALESFORCE_USERNAME isn't authorised for the connected app: set its Permitted Users to "
        "'Admin approved users are pre-authorized' and add a permission set or profile of the user to it.",
    ),
    (
        "invalid_grant",
        "assertion",
        "The key in GTM_SALESFORCE_PRIVATE_KEY_FILE doesn't belong to the certificate that the connected app has "
        "under 'Use digital signatures'.",
    ),
    (
        "invalid_grant",
        "audience",
        "GTM_SALESFORCE_LOGIN_URL isn't the org's address: production is https://<domain>.my.salesforce.com, a sandbox "
        "https://<domain>--<sandbox>.sandbox.my.salesforce.com.",
    ),
    (
        "invalid_grant",
        "no client credentials user",
        "The connected app has no user to run as: choose one under Manage, Edit Policies, Client Credentials Flow.",
    ),
    ("invalid_grant", "inactive", "The user of GTM_SALESFORCE_USERNAME is inactive: activate it, or name another one."),
    ("invalid_client_id", "", "GTM_SALESFORCE_CLIENT_ID isn't the consumer key of a connected app of this org."),
    ("invalid_client", "", "GTM_SALESFORCE_CLIENT_SECRET isn't the connected app's consumer secret of today."),
    (
        "unsupported_grant_type",
        "",
        "The connected app doesn't allow this login: enable the Client Credentials Flow in it, or use a private key.",
    ),
)


class SalesforceLogin:
    """Gives access tokens. They end when Salesforce likes (Session Settings), so a 401 asks for a new one."""

    def __init__(self, settings: IngestSettings, run: SyncRun, patience: Patience) -> None:
        self._settings = settings
        self._run = run
        self._patience = patience
        self._url = str(settings.salesforce_login_url).rstrip("/")
        self._fresh: dict[str, str] | None = None

    def open(self) -> str:
        """Log in for the first time. Returns the address of the org's API.

        Raises:
            TerminalError: as `headers`; `crm-redirected`, where the login names an address that isn't Salesforce's.
            TransientError: as `headers`.
        """
        answer = self._ask()
        address = _require_of_salesforce(str(answer.get("instance_url") or self._url), self._url)
        self._fresh = _to_headers(answer)
        return address

    def headers(self) -> Mapping[str, str]:
        """Those that prove who we are; each call but the first after `open` logs in again.

        Raises:
            TerminalError: `crm-token-refused` with the mend; `crm-clock-skew`; `source-not-configured` for a key file
                that can't be read.
            TransientError: `crm-unavailable`.
        """
        fresh, self._fresh = self._fresh, None
        return fresh if fresh is not None else _to_headers(self._ask())

    def _ask(self) -> dict[str, Any]:
        failure = ""
        for attempt in range(_TRIES):
            self._run.pause(0 if attempt == 0 else self._patience.first_pause * 2**attempt)
            try:
                response = httpx.post(self._url + _PATH, data=self._form(), timeout=_TIMEOUT, trust_env=True)
            except httpx.RequestError as error:
                failure = f"{type(error).__name__}: {error}"
                continue
            answer = _read_json(response)
            if response.is_success and answer.get("access_token"):
                hide_renewed(str(answer["access_token"]))
                return answer
            code, description = str(answer.get("error", "")), str(answer.get("error_description", ""))
            if response.is_client_error and code and not _is_passing(response, code, description):
                raise self._refusal(response, code, description)
            failure = f"status {response.status_code} without a token {code} {description}".rstrip()
        raise TransientError(
            f"Salesforce's login at {self._url} did not answer properly in spite of several tries; the last one: "
            f"{failure}. Check GTM_SALESFORCE_LOGIN_URL and the network; the job is tried again.",
            code="crm-unavailable",
            title="The CRM is unavailable",
            source="salesforce",
        )

    def _form(self) -> dict[str, str]:
        if self._settings.salesforce_private_key_file is not None:
            return {"grant_type": _JWT_BEARER, "assertion": self._sign()}
        secret = self._settings.salesforce_client_secret
        assert secret is not None  # checked before the sync was accepted
        return {
            "grant_type": "client_credentials",
            "client_id": str(self._settings.salesforce_client_id),
            "client_secret": secret.get_secret_value(),
        }

    def _sign(self) -> str:
        path = self._settings.salesforce_private_key_file
        assert path is not None
        claims = {
            "iss": self._settings.salesforce_client_id,
            "sub": self._settings.salesforce_username,
            "aud": _audience(self._url),
            "exp": int(time.time()) + _VALID_SECONDS,
        }
        try:
            key = path.read_bytes()
            if key.isascii():  # PEM; bytes are in no text
                hide_renewed(key.decode())
            return jwt.encode(claims, key, algorithm="RS256")
        except (OSError, ValueError, TypeError, jwt.PyJWTError) as error:
            reason = (
                error.strerror if isinstance(error, OSError) else "it holds no RSA private key in PEM without password"
            )
            raise TerminalError(
                f"GTM_SALESFORCE_PRIVATE_KEY_FILE={path} can't be used: {reason}.",
                code="source-not-configured",
                title="The source is not configured",
                settings=["GTM_SALESFORCE_PRIVATE_KEY_FILE"],
            ) from None

    def _refusal(self, response: httpx.Response, error: str, description: str) -> TerminalError:
        told = read_date(response.headers.get("date", ""))
        skew = 0.0 if told is None else (told - datetime.now(UTC)).total_seconds()
        uses_key = self._settings.salesforce_private_key_file is not None
        if uses_key and error == "invalid_grant" and abs(skew) > _SKEW_SECONDS:
            side = "behind" if skew > 0 else "ahead of"
            return TerminalError(
                f"Salesforce refuses the login ({error}: {description}): this machine's clock is {abs(skew):.0f} s "
                f"{side} Salesforce's, and a signed login is good for 3 minutes. Set the clock by NTP.",
                code="crm-clock-skew",
                title="This machine's clock is wrong",
                source="salesforce",
            )
        words = description.lower()
        mend = next(
            (mend for code, part, mend in _MENDS if code == error and part in words),
            "Check the GTM_SALESFORCE_ settings in .env.example, and the login history in Salesforce's setup.",
        )
        return TerminalError(
            f"Salesforce refuses the login ({error}: {description}). {mend}",
            code="crm-token-refused",
            title="The CRM refuses the credentials",
            source="salesforce",
        )


def _is_passing(response: httpx.Response, error: str, description: str) -> bool:
    """The same login may succeed in a while."""
    is_passing = response.status_code in _PASSING or error in _PASSING_ERRORS
    return is_passing or _PASSING_WORDS.search(description) is not None


def _audience(login_url: str) -> str:
    """Help: login.salesforce.com or test.salesforce.com, whatever the address of the org."""
    host = urlsplit(login_url).hostname or ""
    if not host.endswith(".salesforce.com"):
        return login_url
    is_sandbox = host == "test.salesforce.com" or ".sandbox." in host
    return "https://test.salesforce.com" if is_sandbox else "https://login.salesforce.com"


def _require_of_salesforce(address: str, login_url: str) -> str:
    """The one address that an answer decides: the token goes there, so it must be the login's host or Salesforce's."""
    try:
        parts = urlsplit(require_service_url(address))
        is_known = parts.hostname == urlsplit(login_url).hostname or (
            parts.scheme == "https" and (parts.hostname or "").endswith(_DOMAINS)
        )
    except ValueError:
        is_known = False
    if is_known:
        return address
    raise TerminalError(
        f"Salesforce's login at {login_url} names {address!r} as the address of the org's API, which is none of "
        "Salesforce's: no token is sent there. Set GTM_SALESFORCE_LOGIN_URL to the org's own address.",
        code="crm-redirected",
        title="The CRM's address answers with a redirect",
        source="salesforce",
    )


def _to_headers(answer: Mapping[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {answer['access_token']}"}


def _read_json(response: httpx.Response) -> dict[str, Any]:
    try:
        answer = response.json()
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}
