"""`python -m services.scoring.adapters.table_setup [--dry-run]`: what sales systems read, before the first scoring
(`shared/warehouse/setup.py`)."""

import sys

from services.scoring.adapters.outbound_tables import SCHEMA, create_outbound_tables
from shared.warehouse.setup import main_of

if __name__ == "__main__":
    sys.exit(main_of("outbound", [SCHEMA], create_outbound_tables))
