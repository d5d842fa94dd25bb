"""What a body may be."""

from email.message import Message

from fastapi import HTTPException, Request
from fastapi.params import Depends as Dependency


def require_json() -> Dependency:
    """Of a route with a JSON body: another media type, or none, meets a 415 instead of complaints about fields.

    None counts as another: a form of a foreign page could send one without asking the browser's leave.
    """
    return Dependency(_require_json)


async def _require_json(request: Request) -> None:
    given = request.headers.get("content-type")
    message = Message()
    message["content-type"] = given or "application/octet-stream"
    subtype = message.get_content_subtype()
    if message.get_content_maintype() == "application" and (subtype == "json" or subtype.endswith("+json")):
        return
    raise HTTPException(
        415,
        f"The body came as {given or 'no media type'}. Send it with `Content-Type: application/json`.",
        headers={"Accept-Post": "application/json"},
    )
