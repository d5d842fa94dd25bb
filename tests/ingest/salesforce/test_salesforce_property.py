"""Whatever happens in the org, on the network and to the worker: after the last sync RAW equals the org."""

import os
import random
from typing import Any

import pytest

from shared.errors import TerminalError, TransientError
from shared.warehouse import Warehouse
from tests.fakes.salesforce import FakeSalesforce
from tests.ingest.salesforce.conftest import SalesforceSync, check_truth
from tests.ingest.salesforce.weather import OBJECTS, Killed, Weather
from tests.source_states import MemoryStates

STORIES = int(os.environ.get("STORIES", "2"))  # `make crm-truth` tells many


@pytest.mark.parametrize("seed", range(STORIES))
def test_raw_equals_the_org(
    pull: SalesforceSync,
    salesforce: FakeSalesforce,
    warehouse: Warehouse,
    states: MemoryStates,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
) -> None:
    chance = random.Random(seed)
    salesforce.page_rows = chance.choice((3, 7, 20))
    salesforce.bulk.page_rows = chance.choice((4, 10))
    changed = {
        "salesforce_bulk_rows": chance.choice((5, 30, 100_000)),
        "crm_lookback_seconds": chance.choice((0, 5, 300)),
        "segment_rows": chance.choice((1, 20)),
        "batch_rows": chance.choice((3, 50)),
    }
    weather = Weather(salesforce, chance)
    keep = states.put_cursors

    def put_cursors(*arguments: Any, **named: Any) -> None:
        if weather.blows and chance.random() < 0.15:
            raise Killed("after landing, before the place was kept")
        keep(*arguments, **named)

    monkeypatch.setattr(states, "put_cursors", put_cursors)

    def run(job_id: str, mode: str, policy: str = "evolve", *, accept_volume: bool = True) -> None:
        request = {"mode": mode, "accept_volume": accept_volume, "on_schema_change": policy}
        pull(*OBJECTS, job_id=job_id, request=request, **changed)

    weather.work(30)
    has_held_back = False
    for round in range(3):
        weather.blows = True
        job, mode = f"job-{round}", chance.choice(("incremental", "incremental", "full"))
        policy, accept_volume = chance.choice(("evolve", "evolve", "quarantine")), chance.random() < 0.5
        has_held_back = has_held_back or policy == "quarantine"
        for attempt in range(5):
            try:
                run(job, mode, policy, accept_volume=accept_volume)
                break
            except TerminalError as error:
                assert error.code == "source-shrank"
                job, accept_volume = f"{job}-accepted-{attempt}", True  # a person has looked
            except (TransientError, Killed):
                if chance.random() < 0.3:
                    job, mode = f"{job}-{attempt}", "incremental"
        weather.blows = False
        weather.work(chance.randrange(10))
    salesforce.org.tick(chance.choice((180, 4_000)))
    # What was held back for a new field comes once more when that is accepted and all is read.
    run("the last one", "full" if has_held_back else "incremental")
    check_truth(warehouse, salesforce.org, *OBJECTS)
