"""Whatever happens in the account, in whatever order, during and between syncs that fail or are killed: RAW ends up as
the account is.
"""

import os
import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from pydantic import SecretStr

from services.ingest.adapters.hubspot import activity, api, batches, crm_objects
from services.ingest.domain.sources import Checkpoint
from services.ingest.flow import sync_source
from services.ingest.settings import IngestSettings
from shared.errors import TerminalError, TransientError
from shared.warehouse import Warehouse
from tests.fakes.hubspot import TOKEN, FakeHubSpot
from tests.fakes.hubspot_portal import Portal
from tests.ingest.conftest import MemoryJob, Query
from tests.ingest.hubspot.conftest import SyncHubSpot
from tests.ingest.hubspot.world import World, differences
from tests.source_states import MemoryStates

INDEX_LAG_MS = 20_000
STORIES = int(os.environ.get("STORIES", "2"))  # `make crm-truth` tells many


class Killed(Exception):
    """The worker is gone."""


class MortalJob(MemoryJob):
    """Ends at the next look once `is_killed`."""

    is_killed = False

    def check(self) -> None:
        if self.is_killed:
            raise Killed

    def report(self, phase: str, done: int, total: int | None = None, unit: str = "rows") -> None:
        self.check()


class MortalStates(MemoryStates):
    """Ends between the commit and the cursors that rest on it, when `dies` says so."""

    dies: Callable[[], bool] = staticmethod(lambda: False)

    def put_cursors(self, source: str, checkpoints: Mapping[str, Checkpoint], *, has_landed: bool) -> None:
        if self.dies():
            raise Killed
        super().put_cursors(source, checkpoints, has_landed=has_landed)


@pytest.fixture
def small_pages(sync_hubspot: SyncHubSpot, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few records fill several pages; nothing waits."""
    for module, name, size in (
        (api, "LIST_PAGE", 4),
        (api, "HISTORY_PAGE", 3),
        (api, "SEARCH_PAGE", 3),
        (batches, "LINKS_PAGE", 7),
        (crm_objects, "LINKS_PAGE", 7),
        (activity, "_EVENTS_PAGE", "3"),
        (activity, "_SUBMISSIONS_PAGE", "2"),
        (activity, "_EMAIL_PAGE", "2"),
        (activity, "_OWNERS_PAGE", "2"),
    ):
        monkeypatch.setattr(module, name, size)


@pytest.mark.parametrize("seed", range(STORIES))
def test_raw_equals_the_account_after_the_last_sync(
    small_pages: None, warehouse: Warehouse, settings: IngestSettings, query: Query, seed: int
) -> None:
    with FakeHubSpot(Portal(now=1_790_000_000_000, index_lag_ms=INDEX_LAG_MS), seed=seed) as hubspot:
        _Story(hubspot, warehouse, settings, seed).run(query)


class _Story:
    def __init__(self, hubspot: FakeHubSpot, warehouse: Warehouse, settings: IngestSettings, seed: int) -> None:
        self._hubspot, self._warehouse = hubspot, warehouse
        self._random = random.Random(f"story {seed}")
        self._has_leavers = seed % 2 == 1
        self._world = World(hubspot, seed, has_leavers=self._has_leavers)
        self._states = MortalStates()
        self._has_held_back = False
        self._settings = settings.model_copy(
            update={
                "hubspot_url": hubspot.url,
                "hubspot_token": SecretStr(TOKEN),
                "hubspot_requests_per_10_seconds": 1_000_000,
                "crm_lookback_seconds": 60,
            }
        )

    def run(self, query: Query) -> None:
        self._world.change(60)
        for number in range(2):
            self._trouble()
            mode = self._random.choice(("incremental", "incremental", "full"))
            self._sync_until_done(f"job-{number}", mode)
            self._world.change(self._random.randint(0, 25))
        self._calm()
        # What was held back for a new field comes once more when that is accepted and all is read.
        mode = "full" if self._has_leavers or self._has_held_back else "incremental"
        self._sync("last", mode, accept_volume=True)
        assert differences(self._hubspot, query) == {}

    def _trouble(self) -> None:
        """From now on things happen while HubSpot is read, and HubSpot has its moods."""
        self._hubspot.fault_rate = 0.08
        self._hubspot.crm.page_share = lambda: self._random.choice((1.0, 1.0, 0.5))
        self._hubspot.before_answer = lambda request: self._world.change(self._random.choice((0, 0, 0, 1)))

    def _calm(self) -> None:
        """The index has caught up, and a second has gone by."""
        self._hubspot.fault_rate = 0.0
        self._hubspot.crm.page_share = lambda: 1.0
        self._hubspot.before_answer = lambda request: None
        self._hubspot.portal.now += INDEX_LAG_MS + 1_000

    def _sync_until_done(self, job_id: str, mode: str) -> None:
        """Killed once or twice, at any request or after a landing; then the same job goes on, or another one begins."""
        policy = self._random.choice(("evolve", "evolve", "quarantine"))
        accept_volume = self._random.random() < 0.5
        self._has_held_back = self._has_held_back or policy == "quarantine"
        for attempt in range(self._random.randint(0, 2)):
            self._states.dies = lambda: self._random.random() < 0.2
            try:
                self._sync(job_id, mode, policy, accept_volume=accept_volume, dies_at=self._random.randint(1, 60))
                return
            except Killed:
                if self._random.random() < 0.3:
                    job_id = f"{job_id}-{attempt}"
            except TransientError:
                pass
            except TerminalError as error:
                assert error.code == "source-shrank"
                job_id, accept_volume = f"{job_id}-accepted-{attempt}", True  # a person has looked
            finally:
                self._states.dies = lambda: False
        self._hubspot.fault_rate = 0.02
        self._sync(job_id, mode, policy, accept_volume=True)

    def _sync(
        self, job_id: str, mode: str, policy: str = "evolve", *, accept_volume: bool, dies_at: int | None = None
    ) -> None:
        request: dict[str, Any] = {"source": "hubspot", "mode": mode, "accept_volume": accept_volume}
        job = MortalJob(job_id, {**request, "on_schema_change": policy})
        self._states.job_id = job_id
        inner, left = self._hubspot.before_answer, iter(range(dies_at or 10**9))

        def count(request: str) -> None:
            inner(request)
            job.is_killed = job.is_killed or next(left, None) is None

        self._hubspot.before_answer = count
        often = {
            "segment_rows": self._random.choice((40, 100_000)),
            "segment_seconds": self._random.choice((0.2, 1e9)),
        }
        settings = self._settings.model_copy(update=often)
        try:
            sync_source(job, self._warehouse, settings, self._states)
        finally:
            self._hubspot.before_answer = inner
