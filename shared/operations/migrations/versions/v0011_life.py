"""when a running job last got on, and when the sweeper last looked

A heartbeat says that a process lives; these say that something comes of it.
"""

import sqlalchemy as sa
from alembic import op

from shared.operations.models import UtcDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("progressed_at", UtcDateTime(), nullable=True))
    op.create_table(
        "signs_of_life",
        sa.Column("role", sa.String(32), primary_key=True),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("owner", sa.String(255), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("signs_of_life")
    op.drop_column("jobs", "progressed_at")
