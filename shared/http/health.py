"""`/healthz`: the process answers. `/readyz`: it can accept a job. `/metrics`: Prometheus."""

import asyncio
from collections.abc import Iterable
from typing import Literal

import redis
import sqlalchemy as sa
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from prometheus_fastapi_instrumentator import Instrumentator
from pydantic import BaseModel

from shared.http.access import require_caller
from shared.operations.database import OperationsDatabase
from shared.operations.models import ChangedRecord, Job, WebhookEvent
from shared.settings import QueueSettings

router = APIRouter(tags=["health"])


class Check(BaseModel):
    """One thing that the service leans on."""

    ok: bool
    detail: str


class Readiness(BaseModel):
    """`ok` when a job can be accepted. Redis may be down: jobs are kept and published when it is back."""

    status: Literal["ok", "unavailable"]
    service: str
    version: str
    checks: dict[str, Check]


@router.get("/healthz", operation_id="getHealth", summary="The process answers")
async def get_health() -> dict[str, str]:
    return {"status": "ok"}


@router.get("/readyz", operation_id="getReadiness", summary="A job can be accepted")
async def get_readiness(request: Request, response: Response) -> Readiness:
    state = request.app.state
    database, broker = await asyncio.gather(
        asyncio.to_thread(_check_database, state.database), asyncio.to_thread(_check_redis, state.redis)
    )
    if not database.ok:
        response.status_code = 503
    return Readiness(
        status="ok" if database.ok else "unavailable",
        service=request.app.title,
        version=request.app.version,
        checks={"operations_database": database, "redis": broker},
    )


def connect_redis(settings: QueueSettings) -> redis.Redis:
    """For the readiness check alone: answers within a second or fails."""
    return redis.Redis.from_url(settings.redis_url.get_secret_value(), socket_timeout=1, socket_connect_timeout=1)


def install_metrics(app: FastAPI, database: OperationsDatabase) -> None:
    """HTTP metrics; jobs by kind and state, events from which nothing followed, changed records that wait."""
    registry = CollectorRegistry()
    registry.register(_JobsCollector(database))
    Instrumentator(registry=registry).instrument(app).expose(
        app, tags=["health"], dependencies=[Depends(require_caller)]
    )


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
        yield from (gauge, ignored, waiting)

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


def _check_redis(client: redis.Redis) -> Check:
    try:
        client.ping()
    except (redis.RedisError, OSError) as error:
        return Check(ok=False, detail=f"{type(error).__name__}; jobs are accepted and wait until Redis is back")
    return Check(ok=True, detail="answers")
