"""The id of the request that a question goes back to reaches the model server."""

import asyncio

import structlog

from services.scoring.adapters.model_http import ModelHttp
from tests.fakes.ollama import FakeOllama


def test_a_question_carries_the_id_of_its_request() -> None:
    async def ask(url: str) -> None:
        http = ModelHttp(None)
        await http.call(url, "/api/tags", None, 10)
        await http.close()

    with FakeOllama() as ollama:
        with structlog.contextvars.bound_contextvars(request_id="of-the-caller"):
            asyncio.run(ask(ollama.url))
        assert ollama.headers["x-request-id"] == "of-the-caller"
        asyncio.run(ask(ollama.url))
        assert "x-request-id" not in ollama.headers
