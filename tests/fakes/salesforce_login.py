"""Salesforce's token endpoint: JWT bearer and client credentials, with the errors that it is known for.

Sources: Salesforce Help "OAuth 2.0 JWT Bearer Flow for Server-to-Server Integration" (aud, exp within 5 minutes, the
user must have approved the app) and "OAuth 2.0 Client Credentials Flow".
"""

import itertools
import time
from dataclasses import dataclass, field

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT_ID = "3MVG9.fleet.gtm"
CLIENT_SECRET = "a-secret-of-the-app"
USERNAME = "integration@fleet.example"
AUDIENCE = "https://login.salesforce.com"
_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LONGEST_SECONDS = 300


class LoginRefused(Exception):
    """400 with an OAuth error."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error


def make_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def to_pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@dataclass
class Login:
    """The app as an administrator has set it up."""

    key: rsa.RSAPrivateKey
    is_approved: bool = True
    has_run_as_user: bool = True
    clock_skew_seconds: int = 0
    """How far Salesforce's clock is ahead of this machine's."""
    audiences: tuple[str, ...] = (AUDIENCE,)
    tokens: set[str] = field(default_factory=set)
    """Those that are still good."""
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    @property
    def now(self) -> float:
        return time.time() + self.clock_skew_seconds

    def grant(self, form: dict[str, str]) -> str:
        """A new access token. Raises LoginRefused."""
        if form.get("grant_type") == _JWT_BEARER:
            self._check_assertion(form.get("assertion", ""))
        elif form.get("grant_type") == "client_credentials":
            self._check_client(form)
        else:
            raise LoginRefused("unsupported_grant_type", "grant type not supported")
        token = f"00Dfake!{next(self._numbers)}"
        self.tokens.add(token)
        return token

    def expire_all(self) -> None:
        self.tokens.clear()

    def _check_client(self, form: dict[str, str]) -> None:
        if form.get("client_id") != CLIENT_ID:
            raise LoginRefused("invalid_client_id", "client identifier invalid")
        if form.get("client_secret") != CLIENT_SECRET:
            raise LoginRefused("invalid_client", "invalid client credentials")
        if not self.has_run_as_user:
            raise LoginRefused("invalid_grant", "no client credentials user enabled")

    def _check_assertion(self, assertion: str) -> None:
        try:
            claims = jwt.decode(
                assertion,
                self.key.public_key(),
                algorithms=["RS256"],
                options={"verify_exp": False, "verify_aud": False, "require": ["iss", "sub", "aud", "exp"]},
            )
        except jwt.InvalidSignatureError:
            raise LoginRefused("invalid_grant", "invalid assertion") from None
        if claims["iss"] != CLIENT_ID:
            raise LoginRefused("invalid_client_id", "client identifier invalid")
        if claims["aud"] not in self.audiences:
            raise LoginRefused("invalid_grant", "audience is invalid")
        if not self.now < claims["exp"] <= self.now + _LONGEST_SECONDS:
            raise LoginRefused("invalid_grant", "expired authorization code")
        if claims["sub"] != USERNAME or not self.is_approved:
            raise LoginRefused("invalid_grant", "user hasn't approved this consumer")
