"""Whatever happens in the org, on the network and to the worker: after the last sync RAW equals the org."""

import random
from typing import Any

import pytest

from shared.errors import TransientError
from shared.warehouse import Warehouse
from tests.fakes.salesforce import FakeSalesforce
from tests.ingest.salesforce.conftest import SalesforceSync, check_truth
from tests.ingest.salesforce.weather import OBJECTS, Killed, Weather
from tests.source_states import MemoryStates

SEEDS = (1, 3)


@pytest.mark.parametrize("seed", SEEDS)
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

    def run(job_id: str, mode: str) -> None:
        request = {"mode": mode, "accept_volume": True}
        pull(*OBJECTS, job_id=job_id, request=request, **changed)

    weather.work(30)
    for round in range(3):
        weather.blows = True
        job, mode = f"job-{round}", chance.choice(("incremental", "incremental", "full"))
        for attempt in range(5):
            try:
                run(job, mode)
                break
            except (TransientError, Killed):
                if chance.random() < 0.3:
                    job, mode = f"{job}-{attempt}", "incremental"
        weather.blows = False
        weather.work(chance.randrange(10))
    salesforce.org.tick(chance.choice((180, 4_000)))
    run("the last one", "incremental")
    check_truth(warehouse, salesforce.org, *OBJECTS)
