"""changed records; jobs that are due later; events that nothing follows from"""

import sqlalchemy as sa
from alembic import op

from shared.operations.models import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "changed_records",
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("object", sa.String(length=64), nullable=False),
        sa.Column("record_id", sa.String(length=64), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("source", "object", "record_id"),
    )
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("due_at", UtcDateTime(), nullable=True))
    with op.batch_alter_table("webhook_events", schema=None) as batch_op:
        batch_op.add_column(sa.Column("ignored_for", sa.String(length=32), nullable=True))
        batch_op.create_index(batch_op.f("ix_webhook_events_ignored_for"), ["ignored_for"])


def downgrade() -> None:
    with op.batch_alter_table("webhook_events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_webhook_events_ignored_for"))
        batch_op.drop_column("ignored_for")
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_column("due_at")
    op.drop_table("changed_records")
