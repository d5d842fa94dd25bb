"""`python -m shared.operations.migrate`: bring the operations database to this version's schema. Safe to repeat."""

import sys
from pathlib import Path

from alembic import command
from alembic.config import Config

from shared.settings import operations_settings


def migrate(url: str) -> None:
    """Upgrade to head; creates the database file where there is none."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["url"] = url  # not through the ini: a password may hold a `%`
    command.upgrade(config, "head")


if __name__ == "__main__":
    migrate(operations_settings().database_url)
    sys.stdout.write("operations database: at head\n")
