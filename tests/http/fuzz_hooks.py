"""Hooks of schemathesis' runs (SCHEMATHESIS_HOOKS). What it sends to a webhook's door is signed, so that it gets in;
every other build that it asks for is one that there is (FUZZ_BUILD_ID).

Whatever lacks the header or parameter of a signature is sent as it is: that has to be refused.
"""

import os
import zlib
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import schemathesis
from requests import PreparedRequest
from requests.auth import AuthBase

from tests.break_in.target import SALESFORCE_TOKEN, sign_hubspot, sign_standard

_STANDARD = {"webhook-id", "webhook-timestamp", "webhook-signature"}
_HUBSPOT = {"X-HubSpot-Signature-v3", "X-HubSpot-Request-Timestamp"}


class _Signature(AuthBase):
    """Over the bytes that leave."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        parts = urlsplit(str(request.url))
        body = request.body.encode() if isinstance(request.body, str) else bytes(request.body or b"")
        if _STANDARD <= request.headers.keys():
            id = str(request.headers.get("webhook-id", ""))
            request.headers.update(sign_standard(body, id=id if id.isascii() and id.strip() else "msg_1"))
        elif _HUBSPOT <= request.headers.keys():
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            request.headers.update(sign_hubspot(body, path=target))
        elif parts.path.endswith("/salesforce") and "token" in parse_qs(parts.query, keep_blank_values=True):
            request.url = urlunsplit(parts._replace(query=urlencode({"token": SALESFORCE_TOKEN})))
        return request


@schemathesis.hook
def before_call(_context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
    """Of each request."""
    if "/webhooks/" in case.path:
        kwargs["auth"] = _Signature()
    build_id = case.path_parameters.get("build_id")
    if build_id is not None and zlib.crc32(str(build_id).encode("utf-8", "replace")) % 2:
        case.path_parameters["build_id"] = os.environ["FUZZ_BUILD_ID"]
