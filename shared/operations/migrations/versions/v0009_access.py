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
    # A row follows the last one, and who is no member of the tables' owner writes none in an operator's name. All names
    # are qualified: whoever inserts may have set a search_path with tables of that name in it.
    """
    create function check_audit_log_entry() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as
    $$
    declare
        last record;
    begin
        if (new.action like 'key.%' or new.actor = 'cli') and not pg_has_role(
            session_user, (select relowner from pg_catalog.pg_class where oid = tg_relid), 'member'
        ) then
            raise exception 'audit_log: % by % is for the owner of the tables to write', new.action, new.actor
                using errcode = 'insufficient_privilege';
        end if;
        execute format(
            'select seq, hash from %I.audit_log order by seq desc limit 1', tg_table_schema
        ) into last;
        if new.seq is distinct from coalesce(last.seq, 0) + 1
            or new.prev_hash is distinct from coalesce(last.hash, repeat('0', 64))
            or new.hash !~ '^[0-9a-f]{64}$'
        then
            raise exception 'audit_log: row % does not follow the last one', new.seq;
        end if;
        return new;
    end
    $$
    """,
    "create trigger audit_log_follows before insert on audit_log "
    "for each row execute function check_audit_log_entry()",
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
        for function in ("refuse_audit_log_change", "check_audit_log_entry"):
            op.execute(sa.text(f"drop function {function}()"))
    op.drop_table("api_keys")
