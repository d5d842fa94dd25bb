"""`/healthz`: the process answers. `/readyz`: it can accept a job. `/metrics`: Prometheus."""

import asyncio
import math
from collections import Counter
from collections.abc import Iterable
from typing import Literal

import redis
import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from pydantic import BaseModel

from shared.http.access import may_see_internals
from shared.http.guarding import guarded
from shared.jobs.liveness import SWEEPER_IS_LATE_SECONDS, read_stalled, read_sweep_age
from shared.logging import get_logger
from shared.operations.database import OperationsDatabase
from shared.operations.models import ChangedRecord, Job, WebhookEvent
from shared.settings import QueueSettings, operations_settings

log = get_logger(__name__)
router = APIRouter(tags=["health"])


class Check(BaseModel):
    """One thing that the service leans on."""

    ok: bool
    detail: str


class Readiness(BaseModel):
    """`ok` when a job can be accepted. Redis may be down: jobs are kept and published when it is back, by the sweeper.

    Whoever has no key with the scope `read` is told the status alone: versions and errors are for those who run it.
    """

    status: Literal["ok", "unavailable"]
    service: str | None = None
    version: str | None = None
    checks: dict[str, Check] | None = None


@router.get("/healthz", operation_id="getHealth", summary="The process answers")
async def get_health() -> dict[str, str]:
    return {"status": "ok"}


@router.get("/readyz", operation_id="getReadiness", summary="A job can be accepted", response_model_exclude_none=True)
async def get_readiness(request: Request, response: Response) -> Readiness:
    state = request.app.state
    may_see, database, broker, sweeper = await asyncio.gather(
        may_see_internals(request),
        asyncio.to_thread(_check_database, state.database),
        asyncio.to_thread(_check_redis, state.redis),
        asyncio.to_thread(_check_sweeper, state.database),
    )
    if not database.ok:
        response.status_code = 503
        log.warning("not_ready", operations_database=database.detail)  # a probe without a key isn't told
    status: Literal["ok", "unavailable"] = "ok" if database.ok else "unavailable"
    if not may_see:
        return Readiness(status=status)
    return Readiness(
        status=status,
        service=request.app.title,
        version=request.app.version,
        checks={"operations_database": database, "redis": broker, "sweeper": sweeper},
    )


def connect_redis(settings: QueueSettings) -> redis.Redis:
    """For the readiness check alone: answers within a second or fails."""
    return redis.Redis.from_url(settings.redis_url.get_secret_value(), socket_timeout=1, socket_connect_timeout=1)


def make_registry(database: OperationsDatabase) -> CollectorRegistry:
    """Jobs by kind and state, events from which nothing followed, changed records that wait; jobs that don't get on,
    and how long ago the sweeper looked."""
    registry = CollectorRegistry()
    registry.register(_JobsCollector(database))
    return registry


@router.get(
    "/metrics",
    operation_id="getMetrics",
    summary="For Prometheus",
    response_class=PlainTextResponse,
    dependencies=guarded("read"),
)
def get_metrics(request: Request) -> Response:
    return Response(generate_latest(request.app.state.registry), media_type=CONTENT_TYPE_LATEST)


class _JobsCollector(Collector):
    def __init__(self, database: OperationsDatabase) -> None:
        self._database = database

    def collect(self) -> Iterable[GaugeMetricFamily]:
        gauge = GaugeMetricFamily("gtm_jobs", "Jobs in the operations database", labels=["kind", "state"])
        with self._database.read() as session:
            for kind, state, count in session.execute(
                sa.select(Job.kind, Job.state, sa.func.count()).group_by(Job.kind, Job.state)
            ):
                gauge.add_metric([kind, state], count)
            ignored = GaugeMetricFamily(
                "gtm_webhook_events_ignored", "Signed events from which nothing followed", labels=["reason"]
            )
            for reason, count in session.execute(_IGNORED):
                ignored.add_metric([reason], count)
            waiting = GaugeMetricFamily(
                "gtm_changed_records", "Records named by change events and not read since", labels=["source"]
            )
            for source, count in session.execute(_CHANGED):
                waiting.add_metric([source], count)
            now = self._database.now(session)
            stalled = GaugeMetricFamily("gtm_jobs_stalled", "Running jobs of which nothing comes", labels=["kind"])
            found = read_stalled(session, now, operations_settings().stall_seconds)
            for kind, count in Counter(kind for kind, _ in found.values()).items():
                stalled.add_metric([kind], count)
            age = read_sweep_age(session, now)
        sweeper = GaugeMetricFamily("gtm_sweeper_age_seconds", "Since the sweeper last looked; +Inf: it never did")
        sweeper.add_metric([], math.inf if age is None else age)
        yield from (gauge, ignored, waiting, stalled, sweeper)

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Empty, so that registering does not query."""
        return []


_IGNORED = (
    sa.select(WebhookEvent.ignored_for, sa.func.count())
    .where(WebhookEvent.ignored_for.is_not(None))
    .group_by(WebhookEvent.ignored_for)
)
_CHANGED = sa.select(ChangedRecord.source, sa.func.count()).group_by(ChangedRecord.source)


def _check_database(database: OperationsDatabase) -> Check:
    try:
        with database.read() as session:
            session.execute(sa.select(Job.id).limit(1))
    except sa.exc.SQLAlchemyError as error:
        return Check(ok=False, detail=f"{type(error).__name__}; run `python -m shared.operations.migrate`")
    return Check(ok=True, detail=database.engine.dialect.name)


def _check_sweeper(database: OperationsDatabase) -> Check:
    try:
        with database.read() as session:
            age = read_sweep_age(session, database.now(session))
    except sa.exc.SQLAlchemyError as error:
        return Check(ok=False, detail=f"{type(error).__name__}: not known")
    if age is None or age > SWEEPER_IS_LATE_SECONDS:
        since = "never" if age is None else f"{age:.0f} s ago"
        return Check(ok=False, detail=f"last looked: {since}; what Redis or a worker loses waits until one runs")
    return Check(ok=True, detail=f"looked {age:.0f} s ago")


def _check_redis(client: redis.Redis) -> Check:
    try:
        client.ping()
    except (redis.RedisError, OSError) as error:
        return Check(ok=False, detail=f"{type(error).__name__}; jobs are accepted and wait until Redis is back")
    return Check(ok=True, detail="answers")
