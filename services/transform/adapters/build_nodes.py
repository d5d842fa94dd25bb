"""What a build did, node by node, as its readers see it: pages, changes to follow, and the rows that a test found."""

from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from services.transform.adapters.marts import count_stored_rows, read_stored_rows
from services.transform.adapters.remainders import find_build
from services.transform.domain.run_results import NodeStatus
from shared.contracts import TERMINAL_STATES
from shared.errors import GtmError, InvalidRequest, NotFound, TransientError
from shared.operations.database import OperationsDatabase
from shared.operations.models import BuildNode
from shared.warehouse import Warehouse

_CUT_SHORT: Final = "The build ended while this node ran."

Seen = tuple[int, int]  # attempt and revision of the last change that a follower has
NOTHING_SEEN: Final[Seen] = (0, 0)


class BuildNodeView(BaseModel):
    """A model, a test or a snapshot of one build. Times are UTC."""

    node: str
    unique_id: str
    kind: str
    position: int = Field(description="from 0, in the order in which dbt took them")
    status: NodeStatus
    seconds: float | None
    rows_affected: int | None
    failures: int | None = Field(description="rows that a test found")
    message: str | None = Field(description="one line, without values of the data")
    rows_in: str | None = Field(description="the relation that keeps the rows that a test found")
    started_at: datetime | None
    ended_at: datetime | None


class BuildNodePage(BaseModel):
    """In their order. `next_cursor` is null on the last page."""

    items: list[BuildNodeView]
    next_cursor: str | None


class FailedRowsPage(BaseModel):
    """Rows that a test found, whole: they may hold personal data. `next_offset` is null on the last page.

    Of `failures` rows only the first `kept` are stored (dbt's var `stored_failures_max`).
    """

    node: str
    unique_id: str
    failures: int
    kept: int
    rows_in: str
    items: list[dict[str, Any]]
    next_offset: int | None


def read_nodes(
    database: OperationsDatabase,
    build_id: str,
    *,
    statuses: list[NodeStatus] | None = None,
    cursor: str | None = None,
    limit: int = 100,
) -> BuildNodePage:
    """The nodes that have come to their turn.

    Raises:
        NotFound: `build-not-found`.
        InvalidRequest: `cursor-invalid`.
    """
    query = sa.select(BuildNode).where(BuildNode.job_id == build_id).order_by(BuildNode.position).limit(limit + 1)
    if cursor is not None:
        query = query.where(BuildNode.position > _parse_cursor(cursor))
    with database.read() as session:
        is_over = find_build(session, build_id).state in TERMINAL_STATES
        if statuses:
            query = query.where(BuildNode.status.in_(_stored(statuses, is_over=is_over)))
        nodes = session.scalars(query).all()
    items = [_to_view(node, is_over=is_over) for node in nodes[:limit]]
    return BuildNodePage(items=items, next_cursor=str(items[-1].position) if len(nodes) > limit else None)


def read_changes(
    database: OperationsDatabase, build_id: str, seen: Seen, *, is_over: bool
) -> list[tuple[Seen, BuildNodeView]]:
    """What has changed since, in its order. `is_over`: whether the build had ended before this look; what was cut short
    by its end is news then, whenever it began."""
    is_news = sa.tuple_(BuildNode.fence, BuildNode.revision) > sa.tuple_(*map(sa.literal, seen))
    if is_over:
        is_news = sa.or_(is_news, BuildNode.status == "running")
    query = sa.select(BuildNode).where(BuildNode.job_id == build_id, is_news)
    with database.read() as session:
        nodes = session.scalars(query.order_by(BuildNode.fence, BuildNode.revision)).all()
    return [(max(seen, (node.fence, node.revision)), _to_view(node, is_over=is_over)) for node in nodes]


def read_failed_rows(
    database: OperationsDatabase, warehouse: Warehouse, build_id: str, node: str, *, limit: int, offset: int
) -> FailedRowsPage:
    """The rows that a test found in that build, while no later build has run it again. `node` is its name or unique_id.

    Raises:
        NotFound: `build-not-found`, `node-not-found`, or `node-has-no-rows`: no test that found any.
        GtmError: `failed-rows-gone` (410).
        TransientError: `warehouse-busy`.
    """
    with database.read() as session:
        found = _find_test(session, build_id, node)
    assert found.rows_in is not None
    try:
        kept = count_stored_rows(warehouse, found.rows_in)
        rows = read_stored_rows(warehouse, found.rows_in, limit=limit + 1, offset=offset)
    except (TransientError, sa.exc.OperationalError) as error:
        raise TransientError(
            "The warehouse can't be read now: a build or a sync has it, or it does not answer. Ask again in a while.",
            code="warehouse-busy",
            title="The warehouse is busy",
        ) from error
    with database.read() as session:  # after the rows were read: a build that begins now has not changed them
        later = _later_run(session, found)
    if rows is None or not kept or later is not None or not _are_of(build_id, rows):
        raise _gone(found, later)
    return FailedRowsPage(
        node=found.node,
        unique_id=found.unique_id,
        failures=found.failures or 0,
        kept=kept,
        rows_in=found.rows_in,
        items=rows[:limit],
        next_offset=offset + limit if len(rows) > limit else None,
    )


def _find_test(session: Session, build_id: str, node: str) -> BuildNode:
    find_build(session, build_id)
    named = sa.or_(BuildNode.unique_id == node, BuildNode.node == node)
    query = sa.select(BuildNode).where(BuildNode.job_id == build_id, named)
    nodes = session.scalars(query.order_by(BuildNode.position)).all()
    if not nodes:
        raise NotFound(
            f"Build {build_id} has no node {node!r}. GET /v1/builds/{build_id}/nodes lists them.",
            code="node-not-found",
            title="Unknown node",
        )
    for found in nodes:  # generic tests may share a name; their unique_id tells them apart
        if found.rows_in is not None:
            return found
    raise NotFound(
        f"{node} kept no rows in build {build_id}: it is {nodes[0].status}. Tests that failed or warned keep theirs: "
        f"GET /v1/builds/{build_id}/nodes?status=failed&status=warned.",
        code="node-has-no-rows",
        title="That node kept no rows",
    )


def _later_run(session: Session, test: BuildNode) -> BuildNode | None:
    later = sa.select(BuildNode).where(
        BuildNode.unique_id == test.unique_id,
        BuildNode.job_id != test.job_id,
        BuildNode.status != "skipped",
        BuildNode.started_at > test.started_at,
    )
    return session.scalars(later.order_by(BuildNode.started_at.desc()).limit(1)).first()


def _are_of(build_id: str, rows: list[dict[str, Any]]) -> bool:
    """Rows say which build found them: one that was killed before it recorded the node, or a developer's dbt, may have
    been here since."""
    return all(row.get("found_in_job_id", build_id) == build_id for row in rows)


def _gone(test: BuildNode, later: BuildNode | None) -> GtmError:
    if later is None:
        detail = (
            f"{test.rows_in} is not in the warehouse any more. Run the test again: a build with select {test.node}."
        )
    else:
        detail = f"Build {later.job_id} has run {test.node} again since, and its rows are kept instead: ask for those."
    extension = {} if later is None else {"build_id": later.job_id}
    return GtmError(detail, code="failed-rows-gone", title="Those rows are gone", status=410, **extension)


def _to_view(node: BuildNode, *, is_over: bool) -> BuildNodeView:
    view = BuildNodeView.model_validate(node, from_attributes=True)
    if is_over and view.status == "running":  # its worker was stopped or killed
        return view.model_copy(update={"status": "failed", "message": _CUT_SHORT})
    return view


def _stored(statuses: list[NodeStatus], *, is_over: bool) -> list[str]:
    if not is_over:
        return list(statuses)
    return [status for status in statuses if status != "running"] + (["running"] if "failed" in statuses else [])


def _parse_cursor(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 10):
        raise InvalidRequest(
            "cursor is not one that a page gave as next_cursor. Leave it out to start at the first.",
            code="cursor-invalid",
            title="Invalid cursor",
        )
    return int(cursor)
