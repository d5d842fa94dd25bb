"""idempotency keys are each caller's own, and jobs that wait are counted without reading them

Keys of before have the caller "": a caller that repeats one of those finds its job.
"""

import sqlalchemy as sa
from alembic import op

from shared.operations.models import UtcDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_KEPT = "key, operation, body_hash, job_id, created_at"
# A start reads the keys, then adds a job. Who takes the tables one by one in another order can end in a deadlock with
# it, and so could who is content with less than the whole lock at first (0011 changes `jobs` in this transaction).
_NOBODY_ELSE = sa.text("lock table idempotency_keys, jobs in access exclusive mode")


def _make(name: str, *first: sa.Column[str]) -> None:
    """SQLite can't change a primary key, so the table is made anew."""
    op.create_table(
        name,
        *first,
        sa.Column("key", sa.String(255), primary_key=True),
        sa.Column("operation", sa.String(64), primary_key=True),
        sa.Column("body_hash", sa.String(64), nullable=False),
        sa.Column("job_id", sa.String(36), sa.ForeignKey("jobs.id"), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
    )


def _is_postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def upgrade() -> None:
    """The release before goes on beside this schema: what it adds has the caller ""."""
    if _is_postgresql():
        op.execute(_NOBODY_ELSE)
        op.add_column("idempotency_keys", sa.Column("caller", sa.String(64), nullable=False, server_default=""))
        op.drop_constraint("idempotency_keys_pkey", "idempotency_keys")
        op.create_primary_key("idempotency_keys_pkey", "idempotency_keys", ["caller", "key", "operation"])
    else:
        _make("caller_keys", sa.Column("caller", sa.String(64), primary_key=True, server_default=""))
        op.execute(sa.text(f"insert into caller_keys (caller, {_KEPT}) select '', {_KEPT} from idempotency_keys"))
        op.drop_table("idempotency_keys")
        op.rename_table("caller_keys", "idempotency_keys")
    op.create_index("ix_jobs_waiting", "jobs", ["queue", "state"])


def downgrade() -> None:
    """Where callers have used the same key, the first one's job keeps it."""
    if _is_postgresql():
        op.execute(_NOBODY_ELSE)
    op.drop_index("ix_jobs_waiting", "jobs")
    _make("shared_keys")
    op.execute(
        sa.text(
            f"insert into shared_keys ({_KEPT}) select {_KEPT} from idempotency_keys as mine where not exists ("
            "select 1 from idempotency_keys as other where other.key = mine.key and other.operation = mine.operation "
            "and (other.created_at, other.caller) < (mine.created_at, mine.caller))"
        )
    )
    op.drop_table("idempotency_keys")
    op.rename_table("shared_keys", "idempotency_keys")
    if _is_postgresql():
        op.execute(sa.text("alter index shared_keys_pkey rename to idempotency_keys_pkey"))
