"""An API with the frame that all three have and one start, served from the test's own process: it costs no import."""

import logging
import threading
from types import TracebackType
from typing import Self

import uvicorn

from shared.contracts import BuildRequest, JobKind
from shared.errors import InvalidRequest
from shared.http import add_start, create_app
from shared.operations.database import OperationsDatabase
from tests.conftest import wait_until


def refuse_nothing_at_all(body: BuildRequest, _database: OperationsDatabase) -> None:
    """As services check what they are asked for."""
    if body.select == "nothing":
        raise InvalidRequest("select: there is no nothing.")


class SmallApi:
    """Serves while the block runs; settings are read when it starts."""

    def __init__(self) -> None:
        self.app = create_app("small", "For tests.")
        add_start(
            self.app,
            "/v1/builds",
            JobKind.BUILD,
            BuildRequest,
            operation_id="startBuild",
            summary="Build",
            check=refuse_nothing_at_all,
        )
        config = uvicorn.Config(self.app, host="127.0.0.1", port=0, log_config=None, ws="none")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> Self:
        root = logging.getLogger()
        self._logging = (list(root.handlers), root.level)
        self._thread.start()
        wait_until(lambda: self._server.started or not self._thread.is_alive(), "the API serves", poll=0.005)
        self.port: int = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join(15)
        root = logging.getLogger()
        root.handlers[:], root.level = self._logging
