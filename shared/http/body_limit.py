"""A bound on what one request may make the service hold in memory."""

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """ASGI middleware: a route that reads more than `max_bytes` of body meets a 413, announced length or not.

    FastAPI's own `max_body_size` sends its 413 from outside of every handler: as text, and without a request id.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        received = 0

        async def receive_within_limit() -> Message:
            nonlocal received
            message = await receive()
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
            if received > self._max_bytes:
                # An HTTPException, since that is the one kind that FastAPI lets through from reading a body.
                raise HTTPException(413, f"A body may have {self._max_bytes} bytes. Ask for less at once.")
            return message

        await self._app(scope, receive_within_limit, send)
