"""`python -m shared.operations.migrate`: bring the operations database to this version's schema. Safe to repeat."""

import sys
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from shared.operations.database import OperationsDatabase
from shared.operations.settings import MigrationSettings
from shared.settings import operations_settings


@dataclass(frozen=True)
class SchemaLevel:
    """`current` is None where nothing was migrated yet; `is_known` is False where a later version has migrated."""

    current: str | None
    head: str
    is_known: bool

    @property
    def is_behind(self) -> bool:
        """This version's migrations have not all been run."""
        return self.is_known and self.current != self.head


def migrate(url: str) -> None:
    """Upgrade to head; creates the database file where there is none."""
    config = _config()
    config.attributes["url"] = url  # not through the ini: a password may hold a `%`
    command.upgrade(config, "head")


def read_level(url: str) -> SchemaLevel:
    """Where the database stands beside this version's migrations.

    Raises:
        sqlalchemy.exc.OperationalError: it can't be reached.
    """
    scripts = ScriptDirectory.from_config(_config())
    head = scripts.get_current_head()
    assert head is not None, "the migrations are part of the package"
    database = OperationsDatabase(url)
    try:
        with database.engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
    finally:
        database.dispose()
    return SchemaLevel(current, head, is_known=current is None or _is_known(scripts, current))


def _is_known(scripts: ScriptDirectory, revision: str) -> bool:
    try:
        return scripts.get_revision(revision) is not None
    except CommandError:
        return False


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def main() -> None:
    """Migrate, then let the services' own login use what is there."""
    url = operations_settings().database_url
    migrate(url)
    sys.stdout.write("operations database: at head\n")
    service_url = MigrationSettings().service_url
    if service_url is None:
        return
    from shared.operations.service_role import prepare_service_role  # psycopg, which SQLite alone does without

    database = OperationsDatabase(url, has_statement_limits=False)
    role = prepare_service_role(database.engine, service_url.get_secret_value())
    database.dispose()
    if role is not None:
        sys.stdout.write(f"operations database: {role} may use its tables\n")


if __name__ == "__main__":
    main()
