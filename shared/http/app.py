"""`create_app()`: one API service with everything the three share."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from importlib.metadata import PackageNotFoundError, version

import structlog
from asgi_correlation_id import CorrelationIdMiddleware, correlation_id
from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from shared.celery_app import make_celery
from shared.http import health, jobs
from shared.http.access import require_closed
from shared.http.body_limit import BodyLimit
from shared.http.problems import REQUEST_ID_HEADER, install_problem_handlers
from shared.jobs.dispatch import Dispatcher
from shared.jobs.store import JobStore
from shared.logging import configure_logging
from shared.operations.database import operations_database
from shared.settings import app_settings, queue_settings

_MAX_BODY_BYTES = 1024 * 1024


Alongside = Callable[[FastAPI], AbstractContextManager[None]]


def create_app(service: str, summary: str, *, alongside: Alongside = lambda _app: nullcontext()) -> FastAPI:
    """Opens nothing until it is served; refuses to serve when it would be open to a network.

    `alongside` is entered while it serves, with the job store and the dispatcher in the app's state.
    """
    app: FastAPI = FastAPIOffline(
        title=f"Fleet GTM {service}",
        summary=summary,
        version=_version(),
        redoc_url=None,
        lifespan=_lifespan,
        generate_unique_id_function=lambda route: route.name,
    )
    database = operations_database()
    app.state.service = service
    app.state.alongside = alongside
    app.state.database = database
    app.state.store = JobStore(database)
    install_problem_handlers(app)
    app.add_middleware(BodyLimit, max_bytes=_MAX_BODY_BYTES)
    app.add_middleware(CorrelationIdMiddleware, header_name=REQUEST_ID_HEADER)
    health.install_metrics(app, database)
    app.include_router(health.router)
    app.include_router(jobs.router)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    configure_logging(processors=[_add_request_id])
    require_closed(app_settings())
    app.state.redis = health.connect_redis(queue_settings())
    app.state.dispatcher = Dispatcher(make_celery(app.state.service, is_producer=True))
    with app.state.alongside(app):
        yield
    app.state.dispatcher.close()
    app.state.redis.close()


def _add_request_id(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Every line that is written while a request is answered can be found by the response's X-Request-ID."""
    request_id = correlation_id.get()
    if request_id:
        event.setdefault("request_id", request_id)
    return event


def _version() -> str:
    try:
        return version("fleet-gtm")
    except PackageNotFoundError:  # a source tree that was not installed
        return "0.0.0"
