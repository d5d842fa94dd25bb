"""What tests and the demo ask the emulator about itself: /fake/..., no part of Snowflake's protocol."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.fakes.snowflake_account import Account


class Controls:
    """Counts, texts, checksums and faults of an account."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.routes = [
            Route("/fake/statements", self._counts, methods=["GET"]),
            Route("/fake/statements/reset", self._reset, methods=["POST"]),
            Route("/fake/log", self._log, methods=["GET"]),
            Route("/fake/checksums/{database}", self._checksums, methods=["GET"]),
            Route("/fake/faults", self._faults, methods=["GET", "POST", "DELETE"]),
        ]

    async def _counts(self, _request: Request) -> Response:
        return JSONResponse(self._account.statements.counts())

    async def _reset(self, _request: Request) -> Response:
        self._account.statements.reset()
        return JSONResponse(self._account.statements.counts())

    async def _log(self, request: Request) -> Response:
        return JSONResponse(self._account.statements.last(request.query_params.get("match", "")))

    async def _checksums(self, request: Request) -> Response:
        database = request.path_params["database"].upper()
        without = request.query_params.get("without", "").upper().split(",")
        return JSONResponse(await run_in_threadpool(self._account.checksums, database, without))

    async def _faults(self, request: Request) -> Response:
        if request.method == "DELETE":
            self._account.faults.clear()
            await run_in_threadpool(self._account.hide)
        elif request.method == "POST":
            document = await request.json()
            try:
                for one in document if isinstance(document, list) else [document]:
                    self._account.faults.add(dict(one))
                await run_in_threadpool(self._account.hide)
            except TypeError as error:
                return JSONResponse({"error": str(error)}, status_code=400)
        return JSONResponse(self._account.faults.listed())
