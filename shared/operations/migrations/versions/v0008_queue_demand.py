"""which jobs a worker works on or could take up: what autoscaling reads

A view, so that an autoscaler's user may read this and no request or result. It is there on PostgreSQL alone: SQLite
means one machine, where nothing scales. It says what `shared/jobs/leases.py` lets a worker claim; a test holds it to
that.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# A child of a pipeline waits since the child before it has ended. Of a lane's jobs that wait only the first is listed,
# and none while one of the lane runs: a further worker could do nothing for them.
_QUEUE_DEMAND = """
create view queue_demand as
with open_jobs as (
    select id, queue, lane, state, is_ready, created_at, due_at, parent_id, position,
        clock_timestamp() at time zone 'utc' as asked_at
    from jobs
    where queue is not null and state in ('queued', 'running')
),
claimable as (
    select * from open_jobs
    where state = 'queued' and is_ready and (due_at is null or due_at <= asked_at)
)
select queue, true as is_running, 0::double precision as waited_seconds
from open_jobs
where state = 'running'
union all
select waiting.queue, false,
    extract(
        epoch from waiting.asked_at - greatest(waiting.created_at, waiting.due_at, before.finished_at)
    )::double precision
from claimable as waiting
left join jobs as before on before.parent_id = waiting.parent_id and before.position = waiting.position - 1
where waiting.lane is null or (
    not exists (select 1 from open_jobs as held where held.lane = waiting.lane and held.state = 'running')
    and not exists (
        select 1 from claimable as ahead
        where ahead.lane = waiting.lane and (ahead.created_at, ahead.id) < (waiting.created_at, waiting.id)
    )
)
"""


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(sa.text(_QUEUE_DEMAND))


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(sa.text("drop view queue_demand"))
