"""Snowflake's HTTP protocol, as far as its Python connector speaks it, over an `Account`."""

import gzip
import json
import time
from typing import Any, Final

from fakesnow.converter import from_binding
from fakesnow.expr import normalise_ident
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.fakes.snowflake_account import Account
from tests.fakes.snowflake_controls import Controls
from tests.fakes.snowflake_cursor import PutRequested
from tests.fakes.snowflake_failures import Failure, to_failure
from tests.fakes.snowflake_session import Session
from tests.fakes.snowflake_statements import Statement, kind_of, needs_warehouse

_HOURS: Final = 3600
_TOKEN_PREFIX: Final = len('Snowflake Token="')


class CutOff(Exception):
    """The socket is to be closed without an answer."""


class SnowflakeApi:
    """Routes. Errors of SQL are answers: HTTP 200, `success` false."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.app = Starlette(
            routes=[
                Route("/session/v1/login-request", self._log_in, methods=["POST"]),
                Route("/session/token-request", self._renew, methods=["POST"]),
                Route("/session/heartbeat", self._heartbeat, methods=["POST"]),
                Route("/session", self._log_out, methods=["POST"]),
                Route("/queries/v1/query-request", self._query, methods=["POST"]),
                Route("/queries/v1/abort-request", self._abort, methods=["POST"]),
                Route("/telemetry/send", self._nothing, methods=["POST"]),
                *Controls(account).routes,
            ]
        )

    async def _log_in(self, request: Request) -> Response:
        if (http := self._account.faults.take("http", "login")) is not None:
            return Response(status_code=http.status)
        body = await _read(request)
        if (fault := self._account.faults.take("login")) is not None:
            if fault.status:
                return Response(status_code=fault.status)
            return _failed(Failure(*fault.failure()))
        parameters = {k: str(v) for k, v in (body["data"].get("SESSION_PARAMETERS") or {}).items() if v is not None}
        login = {
            "database": _name(request, "databaseName"),
            "schema": _name(request, "schemaName"),
            "role": request.query_params.get("roleName", ""),
            "warehouse": request.query_params.get("warehouse", ""),
            "user": body["data"].get("LOGIN_NAME", ""),
            "parameters": parameters,
        }
        token, session = await run_in_threadpool(self._account.log_in, login)
        return _succeeded(
            {
                **_tokens(token),
                "sessionId": id(session),
                "displayUserName": session.user,
                "serverVersion": "9.36.1",
                "parameters": [
                    {"name": "AUTOCOMMIT", "value": session.autocommit},
                    {"name": "CLIENT_SESSION_KEEP_ALIVE_HEARTBEAT_FREQUENCY", "value": _HOURS},
                    {"name": "CLIENT_STAGE_ARRAY_BINDING_THRESHOLD", "value": 0},
                    {"name": "CLIENT_TELEMETRY_ENABLED", "value": False},
                ],
                "sessionInfo": {
                    "databaseName": session.connection.database,
                    "schemaName": session.connection.schema,
                    "warehouseName": session.warehouse,
                    "roleName": session.role,
                },
            }
        )

    async def _renew(self, request: Request) -> Response:
        """By the master token, which is the session's own with a word before it."""
        body = await _read(request)
        fresh = self._account.rename(body.get("oldSessionToken", ""))
        if fresh is None:
            return _failed(Failure("390114", "08001", "Authentication token has expired."))
        tokens = _tokens(fresh)
        return _succeeded({**tokens, "sessionToken": tokens["token"]})

    async def _heartbeat(self, request: Request) -> Response:
        return _succeeded(None) if self._account.find(_token(request)) else _failed(_GONE)

    async def _log_out(self, request: Request) -> Response:
        await run_in_threadpool(self._account.log_out, _token(request))
        return _succeeded(None)

    async def _query(self, request: Request) -> Response:
        body = await _read(request)
        text = body["sqlText"]
        if (http := self._account.faults.take("http", text)) is not None:
            return Response(status_code=http.status)
        session = self._account.find(_token(request))
        if session is None:
            return _failed(_GONE)
        request_id = request.query_params.get("requestId", "")
        try:
            return JSONResponse(await run_in_threadpool(self._answer, session, text, body, request_id))
        except CutOff:
            await _cut(request)
            return Response(status_code=500)

    def _answer(self, session: Session, text: str, body: dict[str, Any], request_id: str) -> dict[str, Any]:
        with self._account.once(request_id) as once:
            fault = self._account.faults.take("statement", text)
            if once.answer is not None and (fault is None or not fault.cut):
                return once.answer
            once.session = session
            if fault is not None and fault.seconds:
                once.aborted.wait(fault.seconds)
            if fault is not None and fault.cut == "before":
                raise CutOff
            if once.answer is not None:
                raise CutOff
            failure = Failure(*fault.failure()) if fault is not None and fault.code else self._refused(text)
            failure = _ABORTED if once.aborted.is_set() else failure
            answer = self._run(session, text, body, failure)
            if failure is None or not failure.code.startswith("390"):
                once.answer = answer
            if fault is not None and fault.cut == "after":
                raise CutOff
            return answer

    def _refused(self, text: str) -> Failure | None:
        """By the state of the warehouse or of grants."""
        faults, kind = self._account.faults, kind_of(text)
        if needs_warehouse(kind, text) and (fault := faults.take("warehouse")) is not None:
            fault.code = fault.code or "000606"
            return Failure(*fault.failure())
        for at, code in (("hidden", "002003"), ("grant", "003001")):
            if kind not in ("use", "session", "show") and (fault := faults.take(at, text)) is not None:
                fault.code = fault.code or code
                return Failure(*fault.failure())
        return None

    def _run(self, session: Session, text: str, body: dict[str, Any], failure: Failure | None) -> dict[str, Any]:
        began, rows, code = time.monotonic(), None, None
        try:
            if failure is not None:
                raise failure
            answer = session.run(text, _bindings(body))
            rows = answer.rows
            return {
                "data": {
                    **answer.to_json(),
                    "parameters": [{"name": "TIMEZONE", "value": "Etc/UTC"}],
                    "queryId": answer.query_id,
                    "finalDatabaseName": session.connection.database,
                    "finalSchemaName": session.connection.schema,
                    "finalWarehouseName": session.warehouse,
                    "finalRoleName": session.role,
                },
                "success": True,
            }
        except PutRequested as put:
            return {"data": {**put.data, "overwrite": "overwrite = true" in text.lower()}, "success": True}
        except Exception as error:  # whatever it is, the client is told, in the protocol's words
            told = to_failure(error)
            code = told.code
            return _failure_json(told)
        finally:
            seconds = time.monotonic() - began
            done = Statement(str(id(session)), kind_of(text), session.tag, text, seconds, rows, code)
            self._account.statements.add(done)

    async def _abort(self, request: Request) -> Response:
        """A statement by its request id."""
        self._account.abort((await _read(request)).get("requestId", ""))
        return _succeeded(None)

    async def _nothing(self, _request: Request) -> Response:
        return _succeeded(None)


_GONE: Final = Failure("390111", "08001", "Session no longer exists. New login required to access the service.")
_ABORTED: Final = Failure("000604", "57014", "SQL execution canceled")


def _tokens(token: str) -> dict[str, Any]:
    return {
        "token": token,
        "masterToken": f"master-{token}",
        "validityInSeconds": _HOURS,
        "masterValidityInSeconds": 4 * _HOURS,
    }


def _bindings(body: dict[str, Any]) -> Any:
    """Of qmark placeholders, one row of them."""
    bindings = body.get("bindings")
    if not bindings:
        return None
    if any(isinstance(one["value"], list) for one in bindings.values()):
        raise Failure("000603", "XX000", "The emulator takes no array of bound values.")
    return tuple(from_binding(bindings[str(place)]) for place in range(1, len(bindings) + 1))


async def _read(request: Request) -> dict[str, Any]:
    body = await request.body()
    if request.headers.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    document: dict[str, Any] = json.loads(body or b"{}")
    return document


def _token(request: Request) -> str:
    return request.headers.get("Authorization", "")[_TOKEN_PREFIX:-1]


def _name(request: Request, key: str) -> str | None:
    name = request.query_params.get(key)
    return normalise_ident(name) if name else None


def _succeeded(data: dict[str, Any] | None) -> Response:
    return JSONResponse({"data": data, "code": None, "message": None, "success": True})


def _failed(failure: Failure) -> Response:
    return JSONResponse(_failure_json(failure))


def _failure_json(failure: Failure) -> dict[str, Any]:
    return {
        "data": {"errorCode": failure.code, "sqlState": failure.sqlstate, "queryId": None},
        "code": failure.code,
        "message": failure.message,
        "success": False,
    }


async def _cut(request: Request) -> None:
    """Close the socket under the answer."""
    transport = request.scope.get("extensions", {}).get("transport")
    if transport is not None:
        transport.abort()
