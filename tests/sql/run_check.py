"""`python -m tests.sql.run_check`: run the product on the emulator, and check every statement that it sends.

Exit code 1 where a statement would not do on Snowflake, or a place in the code that sends some was never reached.
"""

import argparse
import json
import logging
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from shared.settings import WarehouseSettings
from shared.warehouse import open_warehouse
from tests.fakes.ollama import FakeOllama
from tests.sql.checker import findings
from tests.sql.cost import cost_table
from tests.sql.flows import Product, run_pipelines
from tests.sql.rare_flows import run_rare_ways, run_tools
from tests.sql.scans import Catalog, read_catalog
from tests.sql.shapes import Shape, to_shapes
from tests.sql.sites import Site, reached_sites, sites_of_product
from tests.sql.wire import Statement, Wire, running_emulator


@dataclass(frozen=True)
class Run:
    """What the product did on an emulator of its own: its statements, what it failed of, where it never was."""

    wire: Wire
    failures: list[str]
    unreached: list[Site]
    catalog: Catalog

    def save(self, folder: Path) -> None:
        """So that it can be looked at again: the flows take minutes."""
        told = {"steps": self.wire.steps, "failures": self.failures, "unreached": self.unreached}
        catalog = {"sizes": self.catalog.sizes, "rows": self.catalog.rows}
        (folder / "run.json").write_text(json.dumps({**told, "catalog": catalog}))


def load(folder: Path) -> Run:
    """A run that was saved."""
    told = json.loads((folder / "run.json").read_text())
    wire = Wire({}, folder / "statements.jsonl", {name: (first, last) for name, (first, last) in told["steps"].items()})
    unreached = [(file, function) for file, function in told["unreached"]]
    return Run(wire, told["failures"], unreached, Catalog(**told["catalog"]))


def run_product(folder: Path) -> Run:
    """Everything that the product does; `folder` keeps it."""
    with running_emulator(folder) as wire, FakeOllama() as model, reached_sites() as reached:
        os.environ.update(wire.environment)
        warehouse = open_warehouse(WarehouseSettings())
        product = Product(warehouse, folder, model.url)
        run_pipelines(product, wire)
        with warehouse.core() as connection:
            catalog = read_catalog(connection)
        run_tools()
        run_rare_ways(product, folder, wire)
    run = Run(wire, product.failures, sorted(sites_of_product() - reached), catalog)
    run.save(folder)
    return run


def check(shapes: Iterable[Shape]) -> dict[str, list[Shape]]:
    """What is wrong, and with which statements."""
    wrong: dict[str, list[Shape]] = defaultdict(list)
    ordered = sorted(shapes, key=lambda shape: -len(shape.sql))  # long ones first, so that no worker ends alone
    with ProcessPoolExecutor(max_workers=2) as pool:
        for shape, found in zip(ordered, pool.map(_findings, ordered, chunksize=4), strict=True):
            for finding in found:
                wrong[finding].append(shape)
    return dict(wrong)


def _findings(shape: Shape) -> list[str]:
    logging.getLogger("sqlglot").setLevel(logging.ERROR)  # that it keeps a command as text is a finding already
    return findings(shape.sql)


def main() -> int:
    """Prints what was checked and what is wrong, and what each step asks of the warehouse."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--folder", type=Path, help="keep the run there, or look again at the one that is there")
    parser.add_argument("--costs", action="store_true", help="only run the product and print what it asks")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.folder or Path(temporary)
        run = load(folder) if (folder / "run.json").exists() else run_product(folder)
        print(cost_table(run.wire, run.catalog))
        failed = _tell("A build failed that should have succeeded", run.failures)
        failed += _tell("No statement came from", [f"{file}: {function}()" for file, function in run.unreached])
        statements = run.wire.statements()
    return 1 if failed + (0 if chosen.costs else _tell_findings(statements)) else 0


def _tell(what: str, lines: Sequence[str]) -> int:
    for line in lines:
        print(f"{what}: {line}")
    return len(lines)


def _tell_findings(statements: Sequence[Statement]) -> int:
    shapes = to_shapes(statements)
    wrong = check(shapes)
    for finding, where in sorted(wrong.items()):
        print(f"\n{finding}\n  in {len(where)} statements, such as: {' '.join(where[0].sql.split())[:300]}")
    print(f"\n{len(statements):,} statements sent, {len(shapes):,} different ones checked, {len(wrong)} findings")
    return len(wrong)


if __name__ == "__main__":
    sys.exit(main())
