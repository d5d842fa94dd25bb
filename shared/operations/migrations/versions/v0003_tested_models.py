"""build nodes: the models that a failed test looks at"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("build_nodes", schema=None) as batch_op:
        batch_op.add_column(sa.Column("tested", sa.JSON(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("build_nodes", schema=None) as batch_op:
        batch_op.drop_column("tested")
