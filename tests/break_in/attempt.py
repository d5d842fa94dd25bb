"""One attempt, and how its request is written and its answer looked at."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from tests.break_in.target import ORGANIZATION, TABLES, Answer, Target

Make = Callable[[Target], bytes]
Check = Callable[[Answer, Target], bool]


@dataclass(frozen=True)
class Attempt:
    """`expected` is the status that is a refusal, or harmless; 0: none came. `code` is the problem's, where one comes.
    `holds` looks further, at the answer or at the house; `said` is that in words."""

    id: str
    what: str
    service: str
    make: Make
    expected: int
    code: str | None = None
    holds: Check | None = None
    said: str = ""

    @property
    def got(self) -> str:
        """For docs/security.md. A run holds to it."""
        found = to_result(self.expected, self.code)
        return f"{found}: {self.said}" if self.said else found


def to_result(status: int, code: str | None) -> str:
    """A status and a problem's code, for people."""
    return " ".join(filter(None, (str(status) if status else "no answer", code)))


def request(
    path: str, method: str = "GET", *, key: str | None = None, headers: tuple[str, ...] = (), body: bytes | None = None
) -> Make:
    """A well-formed request; `key` names one of the target's."""

    def make(target: Target) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", "Connection: close"]
        if not any(one.lower().startswith("host:") for one in headers):
            lines.append("Host: gtm.example.com")
        if key is not None:
            lines.append(f"Authorization: Bearer {target.keys[key]}")
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
            if not any(one.lower().startswith("content-type:") for one in headers):
                lines.append("Content-Type: application/json")
        head = "\r\n".join([*lines, *headers]).encode("utf-8", "surrogateescape")
        return head + b"\r\n\r\n" + (body or b"")

    return make


def post(path: str, body: Any, *, key: str | None = "both", headers: tuple[str, ...] = ()) -> Make:
    """JSON, or bytes as they are."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return request(path, "POST", key=key, headers=headers, body=content)


def raw(text: str) -> Make:
    """Bytes as they are; {read} and {both} are those keys."""
    return lambda target: text.format(**target.keys).replace("\n", "\r\n").encode("utf-8", "surrogateescape")


def with_key(change: Callable[[str], str]) -> Make:
    """A read with a key that is nearly right."""
    return lambda target: request("/v1/jobs", headers=(f"Authorization: Bearer {change(target.keys['read'])}",))(target)


def signed(door: str, body: bytes, sign: Callable[[bytes], dict[str, str]], *, sent: bytes | None = None) -> Make:
    """Signed when it is sent; `sent` is another body than the signed one."""

    def make(target: Target) -> bytes:
        headers = tuple(f"{name}: {value}" for name, value in sign(body).items())
        return post(f"/v1/webhooks/{door}", body if sent is None else sent, key=None, headers=headers)(target)

    return make


def no_such(text: str) -> Check:
    """The answer does not hold it."""
    return lambda answer, _: text not in answer.text


def tables_stand(_answer: Answer, target: Target) -> bool:
    return TABLES.issubset(target.tables())


def no_header(name: str) -> Check:
    """The answer's head has none of this name."""
    return lambda answer, _: f"\n{name.lower()}:".encode() not in answer.head.lower()


def asks_for_a_key(answer: Answer, _target: Target) -> bool:
    return b"\nwww-authenticate: bearer" in answer.head.lower()


def one_answer(answer: Answer, _target: Target) -> bool:
    return answer.answers <= 1


def says_nothing(answer: Answer, _target: Target) -> bool:
    body = answer.text.partition("\r\n\r\n")[2]
    return set(json.loads(body)) == {"status"}


def no_line_forged(_answer: Answer, target: Target) -> bool:
    log = target.log()
    return not any(line.startswith('{"event": "forged') for line in log.splitlines()) and "\x1b" not in log


def to_base64(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


JWT: Final = f"{to_base64(json.dumps({'alg': 'none'}))}.{to_base64(json.dumps({'sub': 'admin', 'scope': 'admin'}))}."
DROP: Final = "x'; DROP TABLE jobs; --"
EVENT: Final = json.dumps({"type": "account.changed", "account_id": "a1"}).encode()
HUBSPOT_EVENT: Final = json.dumps([{"subscriptionType": "company.creation", "eventId": 1, "objectId": 1}]).encode()


def sync_of(**options: str) -> dict[str, Any]:
    return {"source": "files", "options": {"mapping": "hubspot_export", "path": "hubspot", **options}}


def soap(head: str = "", organization: str = ORGANIZATION) -> bytes:
    return (
        f"{head}<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'><e:Body>"
        "<notifications xmlns='http://soap.sforce.com/2005/09/outbound'>"
        f"<OrganizationId>{organization}</OrganizationId></notifications></e:Body></e:Envelope>"
    ).encode()


XXE: Final = '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>'
XML: Final = ("Content-Type: text/xml",)
SALESFORCE_DOOR: Final = "/v1/webhooks/salesforce"
