"""Alembic's entry point; called by shared/operations/migrate.py, which passes the database URL."""

from alembic import context

from shared.operations.database import OperationsDatabase
from shared.operations.models import Base
from shared.settings import operations_settings

url = context.config.attributes.get("url") or operations_settings().database_url
database = OperationsDatabase(url, has_statement_limits=False)
with database.engine.execution_options(is_writer=True).connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
database.dispose()
