"""`create_app()`: one API service with everything the three share."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI

from shared.celery_app import make_celery
from shared.http import health, jobs
from shared.http.access import access_control, install_access
from shared.http.docs_pages import install_docs
from shared.http.frame import Frame
from shared.http.job_reads import JobReads
from shared.http.metrics import HttpMetrics
from shared.http.openapi import describe
from shared.http.problem_pages import problem_pages
from shared.http.problems import install_problem_handlers
from shared.http.rates import RateLimits
from shared.jobs.dispatch import Dispatcher
from shared.jobs.store import JobStore
from shared.logging import configure_logging
from shared.operations.database import REQUEST_PATIENCE, operations_database
from shared.settings import app_settings, queue_settings

Alongside = Callable[[FastAPI], AbstractContextManager[None]]


def create_app(service: str, summary: str, *, alongside: Alongside = lambda _app: nullcontext()) -> FastAPI:
    """Opens nothing until it is served. Who calls without a key from elsewhere than this machine is refused, call by
    call, whatever it is bound to (`shared/http/access.py`).

    `alongside` is entered while it serves, with the job store and the dispatcher in the app's state.
    """
    app = FastAPI(
        title=f"Fleet GTM {service}",
        summary=summary,
        version=_version(),
        openapi_url=None,  # as GTM_API_DOCS has it
        lifespan=_lifespan,
        redirect_slashes=False,  # it would send a caller to whatever host the request names
        generate_unique_id_function=lambda route: route.name,
    )
    database = operations_database(patience=REQUEST_PATIENCE)
    app.state.service = service
    app.state.alongside = alongside
    app.state.database = database
    app.state.store = JobStore(database)
    install_access(app, database)
    install_problem_handlers(app)
    # Counting all jobs that ever were takes longer than a caller would wait.
    app.state.registry = health.make_registry(operations_database())
    app.add_middleware(Frame, metrics=HttpMetrics(app.state.registry))
    jobs.add_polling(app)
    app.include_router(health.router)
    app.include_router(jobs.router)
    app.include_router(problem_pages())
    describe(app)
    install_docs(app, app_settings())
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    configure_logging()
    app.state.redis = health.connect_redis(queue_settings())
    app.state.dispatcher = Dispatcher(make_celery(app.state.service, is_producer=True))
    app.state.rates = RateLimits(app_settings().rate_limit_per_minute)
    app.state.job_reads = JobReads(app.state.database)
    with access_control(app), app.state.alongside(app):
        yield
    app.state.job_reads.close()
    app.state.dispatcher.close()
    app.state.redis.close()


def _version() -> str:
    try:
        return version("fleet-gtm")
    except PackageNotFoundError:  # a source tree that was not installed
        return "0.0.0"
