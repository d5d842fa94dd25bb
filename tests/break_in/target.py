"""The house as an attacker meets it: three APIs as in production, and one as on a laptop, each a real process.

Without workers: nothing that an attempt gets accepted runs.
"""

import base64
import hmac
import os
import re
import socket
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from shared.access.callers import COMMAND_LINE
from shared.access.key_store import KeyStore
from shared.access.keys import SCOPES, Scope
from shared.operations.database import OperationsDatabase
from shared.operations.migrate import migrate
from shared.operations.models import ApiKey
from tests.servers import ApiServer

WEBHOOK_SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # the Standard Webhooks specification's example
HUBSPOT_SECRET: Final = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"
SALESFORCE_TOKEN: Final = "break-in-token-of-salesforce-0123456789"
ORGANIZATION: Final = "00D000000000001EAA"
PUBLIC_URL: Final = "https://gtm.example.com"
TABLES: Final = frozenset({"jobs", "api_keys", "audit_log", "webhook_events"})
"""Of the operations database: those that somebody would drop."""

_SECONDS: Final = 5.0
_IDLE_SECONDS: Final = 1.0


@dataclass(frozen=True)
class Answer:
    """Of one request as bytes; `status` 0: the connection was closed without one."""

    raw: bytes

    @property
    def status(self) -> int:
        """Of the first answer."""
        first = self.raw.split(b"\r\n", 1)[0].split(b" ")
        return int(first[1]) if len(first) > 1 and first[0].startswith(b"HTTP/1.") and first[1].isdigit() else 0

    @property
    def head(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[0]

    @property
    def text(self) -> str:
        return self.raw.decode("utf-8", "replace")

    @property
    def code(self) -> str | None:
        """Of the problem, where it is one."""
        found = re.search(rb'"code":"([a-z-]+)"', self.raw.partition(b"\r\n\r\n")[2])
        return found[1].decode() if found and self.status >= 400 else None

    @property
    def answers(self) -> int:
        """How many came: what was smuggled in gets one of its own."""
        return self.raw.count(b"HTTP/1.1 ")


class Target:
    """See above. `keys` by what they may do; an `expired` and a `revoked` one among them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data_dir, self.files = folder / "var", folder / "files"
        for path in (self.data_dir, self.files):
            path.mkdir(parents=True)
        (self.files / "link").symlink_to("/etc")
        (self.files / "hubspot").mkdir()
        (self.files / "hubspot" / "companies.csv").symlink_to("/etc/passwd")
        url = f"sqlite:///{self.data_dir / 'operations.sqlite3'}"
        migrate(url)
        self.database = OperationsDatabase(url)
        self.keys = self._make_keys()
        common = {
            "GTM_DATA_DIR": str(self.data_dir),
            "GTM_FILES_ROOTS": str(self.files),
            "GTM_ENV_FILE": os.devnull,
            "REDIS_URL": "redis://:break-in-password@127.0.0.1:1/0",
            "GTM_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "GTM_HUBSPOT_WEBHOOK_SECRET": HUBSPOT_SECRET,
            "GTM_PUBLIC_URL": PUBLIC_URL,
            "GTM_SALESFORCE_WEBHOOK_TOKEN": SALESFORCE_TOKEN,
            "GTM_SALESFORCE_ORGANIZATION_ID": ORGANIZATION,
        }
        production = {**common, "GTM_ENV": "production"}
        self.apis = {name: ApiServer(name, folder / "logs", production) for name in ("ingest", "transform", "scoring")}
        self.apis["laptop"] = ApiServer("ingest", folder / "logs-of-laptop", {**common, "GTM_ENV": "local"})
        for api in self.apis.values():
            api.wait_ready()

    def send(self, service: str, data: bytes) -> Answer:
        """Bytes as they are, and all that comes back until the service closes or says no more."""
        received = b""
        with closing(socket.create_connection(("127.0.0.1", self.apis[service].port), _SECONDS)) as connection:
            try:
                connection.sendall(data)
                while chunk := connection.recv(65536):
                    received += chunk
                    connection.settimeout(_IDLE_SECONDS)  # most are asked to close
            except (ConnectionError, TimeoutError):
                pass  # what came until then is the answer
        return Answer(received)

    def log(self) -> str:
        """All that the four have written."""
        return "".join(api.log() for api in self.apis.values())

    def tables(self) -> set[str]:
        """Of the operations database."""
        return set(sa.inspect(self.database.engine).get_table_names())

    def is_alive(self) -> bool:
        """All four answer."""
        request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        return all(self.send(name, request).status == 200 for name in self.apis)

    def close(self) -> None:
        """End every process."""
        for api in self.apis.values():
            api.stop()
        self.database.dispose()

    def _make_keys(self) -> dict[str, str]:
        store = KeyStore(self.database)
        scopes: dict[str, list[Scope]] = {name: [name] for name in SCOPES}
        scopes |= {"both": ["read", "run"], "expired": ["admin"], "revoked": ["admin"]}
        made = {name: store.create(f"break-in-{name}", one, caller=COMMAND_LINE) for name, one in scopes.items()}
        store.revoke(_key_id(made["revoked"].text), caller=COMMAND_LINE)
        with self.database.write() as session:
            expired = sa.update(ApiKey).where(ApiKey.key_id == _key_id(made["expired"].text))
            session.execute(expired.values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
        return {name: one.text for name, one in made.items()}


def sign_standard(body: bytes, *, id: str = "msg_1", shift: float = 0) -> dict[str, str]:
    """Headers of Standard Webhooks, `shift` seconds from now."""
    moment = str(int(time.time() + shift))
    key = base64.b64decode(WEBHOOK_SECRET.removeprefix("whsec_"))
    digest = base64.b64encode(hmac.digest(key, f"{id}.{moment}.".encode() + body, "sha256")).decode()
    return {"webhook-id": id, "webhook-timestamp": moment, "webhook-signature": f"v1,{digest}"}


def sign_hubspot(body: bytes, *, path: str = "/v1/webhooks/hubspot", shift: float = 0) -> dict[str, str]:
    """Headers of HubSpot's version 3."""
    moment = str(int((time.time() + shift) * 1000))
    signed = b"POST" + (PUBLIC_URL + path).encode() + body + moment.encode()
    digest = base64.b64encode(hmac.digest(HUBSPOT_SECRET.encode(), signed, "sha256")).decode()
    return {"X-HubSpot-Signature-v3": digest, "X-HubSpot-Request-Timestamp": moment}


def _key_id(text: str) -> str:
    return text.split("_")[1]
