"""API keys; the audit log, which nobody may change"""

import sqlalchemy as sa
from alembic import op

from shared.operations.models import UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_SQLITE = [
    f"create trigger audit_log_no_{event} before {event} on audit_log "
    "begin select raise(abort, 'audit_log is append-only'); end"
    for event in ("update", "delete")
]
_POSTGRESQL = [
    "create function refuse_audit_log_change() returns trigger language plpgsql as "
    "$$ begin raise exception 'audit_log is append-only'; end $$",
    "create trigger audit_log_no_change before update or delete on audit_log "
    "for each row execute function refuse_audit_log_change()",
    "create trigger audit_log_no_truncate before truncate on audit_log "
    "for each statement execute function refuse_audit_log_change()",
]


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.Column("last_used_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("key_id"),
    )
    op.create_index("ix_api_keys_name", "api_keys", ["name"])
    op.create_table(
        "audit_log",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("actor", sa.String(length=63), nullable=False),
        sa.Column("key_id", sa.String(length=12), nullable=True),
        sa.Column("address", sa.String(length=64), nullable=True),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("target", sa.String(length=255), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("prev_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    for statement in _POSTGRESQL if op.get_bind().dialect.name == "postgresql" else _SQLITE:
        op.execute(sa.text(statement))


def downgrade() -> None:
    op.drop_table("audit_log")
    if op.get_bind().dialect.name == "postgresql":
        op.execute(sa.text("drop function refuse_audit_log_change()"))
    op.drop_table("api_keys")
