"""`python -m tests.parity.run [case ...]`: the same data through both engines, and all that they hold compared.

Land, build, score; a changed load, build, score; of one case the build from nothing, too. DuckDB is the real engine,
the other side the stand-in for Snowflake, by the same code, the driver and dbt-snowflake over HTTP. Exit code 1 on any
difference.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import Path
from typing import Final

from shared.settings import WarehouseSettings
from shared.warehouse import open_warehouse
from tests.conftest import REPOSITORY
from tests.dbt.load_sequences import fast_folder
from tests.emulator import SnowflakeEmulator
from tests.fakes.ollama import FakeOllama
from tests.parity.cases import Case, Load, all_cases
from tests.parity.comparison import Comparison, compare
from tests.parity.house import House, told_moments
from tests.parity.reading import Contents, read_contents

PROJECT: Final = REPOSITORY / "dbt_transform"
_SCORED: Final = 25


def run_case(case: Case, folder: Path, emulator: SnowflakeEmulator, project_dir: Path = PROJECT) -> Comparison:
    """Both engines beside each other; compared at the end of each stage."""
    loads = case.loads(folder / "files")
    settings = [
        WarehouseSettings.model_validate({"GTM_WAREHOUSE": "duckdb", "GTM_DATA_DIR": folder / "duckdb"}),
        emulator.settings(GTM_DATA_DIR=folder / "snowflake"),
    ]
    warehouses = [open_warehouse(one) for one in settings]
    with FakeOllama() as model, ThreadPoolExecutor(2) as pool, told_moments():
        houses = [
            House(warehouse, one.data_dir, model.url, project_dir)
            for warehouse, one in zip(warehouses, settings, strict=True)
        ]
        stages = [pool.submit(copy_context().run, lambda of=house: list(_stages(of, case, loads))) for house in houses]
        duckdb, snowflake = (stage.result() for stage in stages)
    warehouses[1]._engine.dispose()  # type: ignore[attr-defined]  # its sessions, before the server ends
    compared = [compare(ours, theirs) for ours, theirs in zip(duckdb, snowflake, strict=True)]
    return sum(compared, Comparison())


def _stages(house: House, case: Case, loads: tuple[Load, ...]) -> Iterator[Contents]:
    for number, load in enumerate(loads):
        house.land(case, number, load)
        house.build(case, f"build-{number}", load.day)
        house.score(f"scoring-{number}", limit=_SCORED)
        yield read_contents(house.warehouse)
    if case.ends_with_full_refresh:
        house.build(case, "build-again", loads[-1].day, full_refresh=True)
        yield read_contents(house.warehouse)


@contextmanager
def _folders() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="gtm-parity-", dir=fast_folder()) as folder:
        yield Path(folder)


def main(arguments: list[str] | None = None) -> int:
    """Exit code 1 when anything differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("cases", nargs="*", help="names; all where none is given")
    parser.add_argument("--project-dir", type=Path, default=PROJECT)
    chosen = parser.parse_args(arguments)
    cases = [case for case in all_cases() if not chosen.cases or case.name in chosen.cases]
    total = Comparison()
    with _folders() as folder, SnowflakeEmulator(folder / "emulator") as emulator:
        for number, case in enumerate(cases):
            started = time.perf_counter()
            compared = run_case(case, folder / str(number), emulator, chosen.project_dir)
            print(f"{case.name}: {_to_text(compared)} ({time.perf_counter() - started:.0f} s)", flush=True)
            print("".join(f"  {line}\n" for line in compared.differences), end="", flush=True)
            total += compared
    print(f"all: {_to_text(total)}")
    return 1 if total.differences or not total.rows else 0


def _to_text(compared: Comparison) -> str:
    return (
        f"{compared.tables} tables and views, {compared.rows:,} rows, {compared.cells:,} cells compared"
        f" ({compared.left_out:,} of a run left out), {len(compared.differences)} differences"
    )


if __name__ == "__main__":
    sys.exit(main())
