"""sources: cursors and known fields; what excludes a job of running beside another"""

import json

import sqlalchemy as sa
from alembic import op

from shared.operations.models import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "source_cursors",
        sa.Column("source", sa.String(length=128), nullable=False),
        sa.Column("stream", sa.String(length=255), nullable=False),
        sa.Column("cursor", sa.JSON(), nullable=False),
        sa.Column("is_final", sa.Boolean(), nullable=False),
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("load_id", sa.String(length=36), nullable=True),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("source", "stream"),
    )
    op.create_table(
        "source_fields",
        sa.Column("source", sa.String(length=128), nullable=False),
        sa.Column("source_table", sa.String(length=128), nullable=False),
        sa.Column("field", sa.String(length=255), nullable=False),
        sa.Column("field_type", sa.String(length=255), nullable=True),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("source", "source_table", "field"),
    )
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("lane", sa.String(length=80), nullable=True))
        batch_op.create_index("ix_jobs_lane", ["lane", "state"])
    _give_lanes()


def _give_lanes() -> None:
    """Jobs that wait or run across the upgrade; ended ones need none."""
    jobs = sa.table("jobs", sa.column("id"), sa.column("kind"), sa.column("state"), sa.column("lane"), _REQUEST)
    connection = op.get_bind()
    is_open = jobs.c.state.in_(("queued", "running"))
    for row in connection.execute(sa.select(jobs).where(is_open, jobs.c.kind.in_(("build", "sync")))).all():
        request = json.loads(row.request) if isinstance(row.request, str) else row.request
        lane = "build" if row.kind == "build" else f"sync:{request['source']}"
        connection.execute(sa.update(jobs).where(jobs.c.id == row.id).values(lane=lane))


_REQUEST: sa.ColumnClause[object] = sa.column("request", sa.JSON())


def downgrade() -> None:
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_index("ix_jobs_lane")
        batch_op.drop_column("lane")
    op.drop_table("source_fields")
    op.drop_table("source_cursors")
