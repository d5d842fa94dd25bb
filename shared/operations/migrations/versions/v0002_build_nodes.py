"""build runs, build nodes"""

import sqlalchemy as sa
from alembic import op

from shared.operations.models import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "build_runs",
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("root_id", sa.String(length=36), nullable=False),
        sa.Column("settings_version", sa.String(length=64), nullable=False),
        sa.Column("project_version", sa.String(length=64), nullable=False),
        sa.Column("full_refresh", sa.Boolean(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"]),
        sa.PrimaryKeyConstraint("job_id"),
    )
    op.create_table(
        "build_nodes",
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("unique_id", sa.String(length=500), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("node", sa.String(length=300), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("rows_affected", sa.BigInteger(), nullable=True),
        sa.Column("failures", sa.BigInteger(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("rows_in", sa.String(length=600), nullable=True),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"]),
        sa.PrimaryKeyConstraint("job_id", "unique_id"),
    )
    with op.batch_alter_table("build_nodes", schema=None) as batch_op:
        batch_op.create_index("ix_build_nodes_changes", ["job_id", "fence", "revision"], unique=False)
        batch_op.create_index("ix_build_nodes_unique_id", ["unique_id", "started_at"], unique=False)


def downgrade() -> None:
    op.drop_table("build_nodes")
    op.drop_table("build_runs")
