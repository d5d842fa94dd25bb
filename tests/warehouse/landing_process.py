"""Lands one table by hand, as a worker would: `python -m tests.warehouse.landing_process FOLDER TABLE`."""

import sys
from pathlib import Path

from shared.settings import WarehouseSettings
from shared.warehouse import open_warehouse
from tests.ingest.segment_landing import Landing, batch

if __name__ == "__main__":
    folder, table = sys.argv[1:]
    rows = [{"id": str(number), "email": f"{number}@b.example"} for number in range(50)]
    Landing(open_warehouse(WarehouseSettings()), Path(folder)).land(batch(table, *rows))
