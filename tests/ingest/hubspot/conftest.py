"""A fake HubSpot, and syncs of it into a real DuckDB within a real Redis' rate budget."""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest
from pydantic import SecretStr

from services.ingest.adapters import crm_http
from services.ingest.adapters.hubspot import api
from tests.conftest import RedisServer
from tests.fakes.hubspot import TOKEN, FakeHubSpot
from tests.ingest.conftest import Sync

SyncHubSpot: TypeAlias = Callable[..., dict[str, Any]]


@pytest.fixture
def hubspot() -> Iterator[FakeHubSpot]:
    with FakeHubSpot() as fake:
        yield fake


@pytest.fixture
def sync_hubspot(
    sync: Sync, hubspot: FakeHubSpot, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> SyncHubSpot:
    """One sync, as its own job unless `job_id` says otherwise. Retries and searches don't wait."""
    monkeypatch.setattr(api, "SEARCHES_PER_SECOND", 10_000)
    monkeypatch.setattr(api, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(crm_http.CrmClient.__init__, "__kwdefaults__", _impatient())
    jobs = iter(range(1, 1_000_000))

    def run(*, mode: str = "incremental", job_id: str | None = None, **options: Any) -> dict[str, Any]:
        settings = {
            "hubspot_url": hubspot.url,
            "hubspot_token": SecretStr(TOKEN),
            "hubspot_requests_per_10_seconds": 1_000_000,
            "crm_lookback_seconds": 120,
            "segment_seconds": 1e9,
            "segment_rows": 20_000,
        }
        given = {name: options.pop(name) for name in list(options) if name in settings}
        hubspot.portal.now += 1_000  # the CRM tells its time to the second
        request = {"mode": mode, **options.pop("request", {})}
        return sync("hubspot", options, job_id=job_id or f"job-{next(jobs)}", request=request, **{**settings, **given})

    return run


def _impatient() -> dict[str, Any]:
    defaults = dict(crm_http.CrmClient.__init__.__kwdefaults__ or {})
    return {**defaults, "patience": crm_http.Patience(tries=12, first_pause=0.0, longest_pause=0.0)}
