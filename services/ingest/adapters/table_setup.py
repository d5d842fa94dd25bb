"""`python -m services.ingest.adapters.table_setup [--dry-run]`: RAW, before the first sync
(`shared/warehouse/setup.py`)."""

import sys

from services.ingest.adapters.raw_tables import create_raw_tables
from shared.warehouse.setup import main_of

if __name__ == "__main__":
    sys.exit(main_of("core", ["raw"], create_raw_tables))
