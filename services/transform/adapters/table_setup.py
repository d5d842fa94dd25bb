"""`python -m services.transform.adapters.table_setup [--dry-run]`: dbt's schemas and the one table of RAW that builds
keep, before the first build (`shared/warehouse/setup.py`). The marts are dbt's to make."""

import sys

from services.transform.adapters.public_suffixes import create_public_suffixes
from shared.warehouse.setup import main_of

if __name__ == "__main__":
    sys.exit(main_of("core", ["raw", "analytics", "analytics_staging", "analytics_failures"], create_public_suffixes))
