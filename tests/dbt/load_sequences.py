"""Random sequences of loads: after each, incremental tables must be what a full refresh makes of the same RAW.

`python -m tests.dbt.load_sequences --seed 7 --count 20`; one that fails is printed with its seed.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import duckdb

from services.ingest.adapters.attempts import to_load
from services.ingest.adapters.landing import land_segment
from services.ingest.adapters.spool import open_spool
from services.ingest.domain.sources import SourceBatch
from services.transform.adapters.public_suffixes import ensure_public_suffixes
from shared.contracts import SyncRequest
from shared.settings import WarehouseSettings
from shared.warehouse import Warehouse, open_warehouse
from tests.dbt.dbt_session import REPOSITORY, DbtSession
from tests.dbt.load_world import World
from tests.dbt.model_builds import ModelBuilds
from tests.transform.builds import AUDIT_COLUMNS, RecordingJob

# What stored rows depend on beside RAW. A change must find its own way into incremental tables.
_SETTINGS: tuple[Mapping[str, Any], ...] = (
    {"attribution_window_days": 30},
    {"time_decay_half_life_days": 1},
    {"usd_exchange_rates": {"USD": 1, "EUR": 1.25}},
    {"date_orders": {"hubspot": "dmy", "salesforce": "mdy", "billing": "mdy"}},
    {"arr_contract_months": 12},
    {"as_of_date": "2026-03-09"},
)


@dataclass
class Sequence:
    """One world, one warehouse, and what was done to them."""

    seed: int
    builds: ModelBuilds
    folder: Path
    steps: list[str] = field(default_factory=list)
    loads: int = 0

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.world = World(self.random)
        self.warehouse: Warehouse = open_warehouse(WarehouseSettings(GTM_WAREHOUSE="duckdb", GTM_DATA_DIR=self.folder))
        # One setting a sequence: a change of two at once would hide that one of them is forgotten.
        self.settings: tuple[Mapping[str, Any], ...] = ({}, _SETTINGS[self.seed % len(_SETTINGS)])
        self.variables: Mapping[str, Any] = {}

    @property
    def database(self) -> Path:
        with self.warehouse.reserve_core() as environment:
            return Path(environment["GTM_DUCKDB_CORE_PATH"])

    def run(self, days: int) -> None:
        """Raises AssertionError where an incremental table differs from its full refresh, or a repeat touches a row."""
        self.world.fill()
        self.land("first load")
        ensure_public_suffixes(self.warehouse)
        self.build()
        for _ in range(days):
            self.day()
        self.build()
        self.check_full_refresh_is_equal()
        # By itself and after that check: a new setting computes much anew, also what should have been noticed before.
        self.change_settings()
        self.build()
        self.check_repeat_touches_nothing()
        self.check_full_refresh_is_equal()

    def day(self) -> None:
        """One or two loads, perhaps another setting, perhaps a build that dies between two models; then a build."""
        for _ in range(self.random.choice((1, 1, 2))):
            happened = [self.world.happen() for _ in range(self.random.choice((1, 2, 3, 12)))]
            # What attribution must notice by itself, each time.
            happened += [self.world.renegotiate(), self.world.correct("hubspot_web_visits"), self.world.retag()]
            self.land("; ".join(happened))
        if self.random.random() < 0.3:
            self.change_settings()
        if self.random.random() < 0.4:  # a build that was killed, or that selected nodes
            models = self.builds.models
            self.build(self.random.sample(models, self.random.randint(1, len(models) // 2)))
        if self.random.random() < 0.7:
            self.build()

    def change_settings(self) -> None:
        """To the other ones, as shipped or not."""
        self.variables = self.settings[0] if self.variables else self.settings[1]
        self.steps.append(f"settings {self.variables or 'as shipped'}")

    def land(self, what: str) -> None:
        """By ingest's own flow. One load in ten is a retry: it comes again under the same id."""
        batches = self.world.take_changes()
        self.loads += 1
        self._land(f"load-{self.loads}", batches)
        self.steps.append(f"load {self.loads}: {what}")
        if self.random.random() < 0.1:
            self._land(f"load-{self.loads}", batches)

    def _land(self, load_id: str, batches: list[SourceBatch]) -> None:
        with open_spool(self.folder / "spool") as spool:
            for batch in batches:
                spool.add(batch)
            request = SyncRequest(source="mock", mode="incremental")
            job = RecordingJob(load_id)
            land_segment(job, self.warehouse, to_load(job, request, is_complete=False), spool)

    def build(self, only: Collection[str] | None = None) -> None:
        """All models, or some."""
        self.steps.append("build" if only is None else f"build only {' '.join(sorted(only))}")
        self.builds.build(self.database, self.variables, only)

    def check_repeat_touches_nothing(self) -> None:
        before = {model: self._runs(model) for model in self.builds.incremental}
        self.build()
        for model, runs in before.items():
            assert self._runs(model) == runs, f"{model}: a build without change wrote rows"

    def _runs(self, model: str) -> Counter[Any]:
        with duckdb.connect(str(self.database), read_only=True) as connection:
            name = f"{self.builds.nodes[model].schema}.{model}"
            return Counter(connection.execute(f"select dbt_run_id, dbt_updated_at from {name}").fetchall())

    def check_full_refresh_is_equal(self) -> None:
        copy = self.folder / "refreshed" / self.database.name
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(self.database, copy)
        self.builds.build(copy, self.variables, full_refresh=True)
        names = sorted(f"{node.schema}.{node.name}" for node in self.builds.nodes.values())
        with duckdb.connect(str(self.database), read_only=True) as ours, duckdb.connect(str(copy)) as refreshed:
            pairs = [(name, _rows(ours, name), _rows(refreshed, name)) for name in names]
        different = [text for name, mine, theirs in pairs if (text := _difference(name, mine, theirs))]
        assert not different, "\n".join(different)


def _rows(connection: duckdb.DuckDBPyConnection, name: str) -> Counter[Any]:
    kept = f"columns(c -> c not in {AUDIT_COLUMNS})"
    return Counter(connection.execute(f"select {kept} from {name}").fetchall())


def _difference(name: str, ours: Counter[Any], refreshed: Counter[Any]) -> str:
    if ours == refreshed:
        return ""
    stale, missing = list((ours - refreshed).elements()), list((refreshed - ours).elements())
    shown = [*(f"  stale   {row}" for row in stale[:4]), *(f"  missing {row}" for row in missing[:4])]
    return "\n".join([f"{name}: {len(stale)} rows a full refresh hasn't, {len(missing)} that it has besides", *shown])


def run_sequences(first_seed: int, count: int, days: int, project_dir: Path = REPOSITORY / "dbt_transform") -> int:
    """Run them; the first that fails is printed. Returns the number of failures: 0 or 1."""
    with tempfile.TemporaryDirectory(prefix="gtm-sequences-", dir=fast_folder()) as name:
        builds = ModelBuilds(DbtSession(project_dir, Path(name) / "dbt"))
        for seed in range(first_seed, first_seed + count):
            started = time.perf_counter()
            sequence = Sequence(seed, builds, Path(name) / f"sequence-{seed}")
            try:
                sequence.run(days)
            except Exception as error:
                steps = "\n".join(f"  {number}. {step}" for number, step in enumerate(sequence.steps, 1))
                print(f"sequence {seed} failed: {type(error).__name__}: {error}\nsteps:\n{steps}")
                print(f"replay: make sequences SEED={seed} COUNT=1 DAYS={days}")
                return 1
            seconds = time.perf_counter() - started
            print(
                f"sequence {seed}: {sequence.loads} loads, {len(sequence.steps)} steps, equal ({seconds:.1f} s)",
                flush=True,
            )
            shutil.rmtree(sequence.folder)
    return 0


def fast_folder() -> str | None:
    """Memory instead of a disk, where the machine has such a folder."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def main() -> int:
    """Exit code 1 when a sequence failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--days", type=int, default=6, help="loads and builds between the first one and the comparison")
    parser.add_argument("--project-dir", type=Path, default=REPOSITORY / "dbt_transform")
    arguments = parser.parse_args()
    return run_sequences(arguments.seed, arguments.count, arguments.days, arguments.project_dir)


if __name__ == "__main__":
    sys.exit(main())
