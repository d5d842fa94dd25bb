"""Routes that take a JSON body: who calls is judged first, then what the body is said to be; then it is read."""

from collections.abc import Callable, Coroutine, Sequence
from email.message import Message
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.params import Depends as Dependency
from fastapi.routing import APIRoute

from shared.http.guarding import KeyScope, check_guards, guarded


class _JsonRoute(APIRoute):
    """FastAPI reads and parses a body before it looks at the dependencies that stand before its route: a stranger would
    be told what is wrong with a body, and have it read. So here they don't become FastAPI's.

    Another media type than JSON, or none, meets a 415 instead of complaints about fields. None counts as another: a
    form of a foreign page could send one without asking the browser's leave.
    """

    def __init__(
        self, path: str, endpoint: Callable[..., Any], *, dependencies: Sequence[Dependency] = (), **declared: Any
    ) -> None:
        super().__init__(path, endpoint, **declared)
        self.dependencies = list(dependencies)  # the description reads the scope from them

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        read_and_answer = super().get_route_handler()

        async def answer(request: Request) -> Response:
            await check_guards(request, self.dependencies)
            _require_json(request)
            return await read_and_answer(request)

        return answer


def add_json_route(app: FastAPI, path: str, endpoint: Callable[..., Any], *, scope: KeyScope, **declared: Any) -> None:
    """`POST path` with a JSON body, for callers with this scope; the rest as FastAPI's `add_api_route` has it."""
    app.router.add_api_route(
        path, endpoint, methods=["POST"], dependencies=guarded(scope), route_class_override=_JsonRoute, **declared
    )


def _require_json(request: Request) -> None:
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
