"""A service's app in the test's own process: no server to wait for, and no lifespan of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from fastapi import FastAPI

from shared.access.key_ring import KeyRing
from shared.access.key_store import KeyStore
from shared.http.access import access_control
from shared.operations.database import OperationsDatabase

ELSEWHERE = "192.0.2.9"


class _NoDispatcher:
    def dispatch(self, tickets: object) -> None:
        """No Redis here: the sweeper would publish what waits."""


@contextmanager
def served(app: FastAPI, operations: OperationsDatabase) -> Iterator[None]:
    """On this database. A module's app outlives the test, so its state is as it was afterwards: monkeypatch can't put
    back what Starlette keeps there."""
    known = {"database": operations, "keys": KeyRing(KeyStore(operations)), "dispatcher": _NoDispatcher()}
    before = {name: getattr(app.state, name, None) for name in known}
    _set(app, known)
    try:
        with access_control(app):
            yield
    finally:
        _set(app, before)


def caller_from_elsewhere(app: FastAPI) -> httpx.AsyncClient:
    """Another machine, in a documentation address range."""
    transport = httpx.ASGITransport(app, client=(ELSEWHERE, 1234))
    return httpx.AsyncClient(transport=transport, base_url="http://gtm.example")


def _set(app: FastAPI, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(app.state, name, value)
