"""what record an event names and when it happened there; events of one age are found"""

import sqlalchemy as sa
from alembic import op

from shared.operations.models import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("webhook_events", schema=None) as batch_op:
        batch_op.add_column(sa.Column("object", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("record_id", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("occurred_at", UtcDateTime(), nullable=True))
        batch_op.create_index(batch_op.f("ix_webhook_events_received_at"), ["received_at"])


def downgrade() -> None:
    with op.batch_alter_table("webhook_events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_webhook_events_received_at"))
        batch_op.drop_column("occurred_at")
        batch_op.drop_column("record_id")
        batch_op.drop_column("object")
