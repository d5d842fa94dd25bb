"""`python -m tests.sql.run_check`: run the product on the emulator, and check every statement that it sends.

Exit code 1 where a statement would not do on Snowflake, or a place in the code that sends some was never reached.
"""

import argparse
import logging
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from shared.settings import WarehouseSettings
from shared.warehouse import open_warehouse
from tests.fakes.ollama import FakeOllama
from tests.sql.checker import findings
from tests.sql.flows import Product, run_pipelines, run_rare_ways
from tests.sql.shapes import Shape, to_shapes
from tests.sql.wire import Wire, running_emulator


def record(folder: Path) -> Wire:
    """Everything that the product does, on an emulator of its own."""
    with running_emulator(folder) as wire, FakeOllama() as model:
        os.environ.update(wire.environment)
        product = Product(open_warehouse(WarehouseSettings()), folder, model.url)
        run_pipelines(product, wire)
        run_rare_ways(product, folder)
    return wire


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
    """Prints what was checked and what is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--record", type=Path, help="check this record instead of running the product")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        wire = Wire({}, chosen.record) if chosen.record else record(Path(temporary))
        statements = wire.statements()
    shapes = to_shapes(statements)
    wrong = check(shapes)
    for finding, where in sorted(wrong.items()):
        print(f"\n{finding}\n  in {len(where)} statements, such as: {' '.join(where[0].sql.split())[:300]}")
    print(f"\n{len(statements):,} statements sent, {len(shapes):,} different ones checked, {len(wrong)} findings")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
