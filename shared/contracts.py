"""What crosses a service's border: job kinds, task and queue names, and the requests that start jobs.

Messages carry a job's id and nothing else; the request is read from the job's row.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, model_validator


class JobKind(StrEnum):
    """One word per thing that a caller starts and polls."""

    SYNC = "sync"
    BUILD = "build"
    SCORING = "scoring"
    RESCORE = "rescore"
    PIPELINE = "pipeline"


class JobState(StrEnum):
    """`queued -> running -> succeeded | failed | cancelled`; a state never goes back."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


TERMINAL_STATES = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})

# kind -> (Celery task, queue). A pipeline has none: its children carry it (shared/jobs/store.py).
TASKS: dict[JobKind, tuple[str, str]] = {
    JobKind.SYNC: ("ingest.sync_source", "ingest"),
    JobKind.BUILD: ("transform.build_marts", "transform"),
    JobKind.SCORING: ("scoring.score_accounts", "scoring.batch"),
    JobKind.RESCORE: ("scoring.rescore_account", "scoring.interactive"),
}


def lane_of(kind: JobKind, request: Mapping[str, Any]) -> str | None:
    """Of the jobs with one lane, one runs at a time in the whole house, whatever the number of workers.

    Two dbt builds would write the same tables; two syncs of a source would move its cursors past each other's rows. The
    others wait in the queue (shared/jobs/leases.py). None: nothing is in the job's way.
    """
    if kind == JobKind.BUILD:
        return "build"
    return f"sync:{request['source']}" if kind == JobKind.SYNC else None


QUEUES = sorted({queue for _, queue in TASKS.values()})


def _require_number(value: Any) -> Any:
    if isinstance(value, bool | str):  # of which Pydantic would make one
        raise ValueError("a number is wanted")
    return value


Count = Annotated[int, BeforeValidator(_require_number)]

MOST_LEVELS = 32  # of nesting, which no request of ours comes near


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _can_be_kept(cls, content: Any) -> Any:
        """A request is stored and told again: in JSON, by either database."""
        _refuse_unkeepable(content, MOST_LEVELS)
        return content


def _refuse_unkeepable(value: Any, levels: int) -> None:
    """JSON that Python reads and a database, or the answer that tells it, can't hold.

    Raises:
        ValueError: a NUL character, half of a surrogate pair, NaN or an infinity, or more nesting than `levels`.
    """
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("a text holds a NUL character")
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            raise ValueError("a text holds half of a surrogate pair")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("NaN and Infinity are no JSON")
    elif isinstance(value, dict | list):
        if not levels:
            raise ValueError(f"nested in more than {MOST_LEVELS} levels")
        for part in (*value, *value.values()) if isinstance(value, dict) else value:
            _refuse_unkeepable(part, levels - 1)


class SyncRequest(_Request):
    """Read one source and land it. `full` ignores the stored cursor; `incremental` reads what changed since; `records`
    reads the records that change events have named since the last such sync, and nothing else.

    `accept_volume`: the number of rows read is right however few they are, and later loads are compared with it.
    `on_schema_change`: what becomes of a field that the source has got, lost or retyped since the last sync. evolve: it
    is kept in `extra`; freeze: the sync fails; quarantine: rows that fill a new field are rejected.
    """

    source: str = Field(min_length=1, max_length=64, examples=["mock"])
    mode: Literal["incremental", "full", "records"] = "incremental"
    options: dict[str, Any] = Field(default_factory=dict, examples=[{"accounts": 500, "visits": 20000}])
    accept_volume: StrictBool = False
    on_schema_change: Literal["evolve", "freeze", "quarantine"] = "evolve"


_NODE = r"[A-Za-z0-9_.,:+@*/][A-Za-z0-9_.,:+@*\-/]*"  # none begins as an option of dbt's command line does
_NODES = rf"^{_NODE}(?: +{_NODE})*$"


def _name_nodes(select: str) -> str:
    if not re.fullmatch(_NODES, select):
        wrong = next((part for part in select.split(" ") if part and not re.fullmatch(_NODE, part)), select)
        raise ValueError(
            f"{wrong!r} is no node, or an option: name nodes as dbt does, with a space between: dim_accounts+"
        )
    return select


NodeSelector = Annotated[
    str,
    AfterValidator(_name_nodes),
    Field(min_length=1, max_length=200, examples=["dim_accounts+"], json_schema_extra={"pattern": _NODES}),
]


class BuildRequest(_Request):
    """Run `dbt build`. `select` is dbt's node selection; None is everything.

    `retry_of` names an earlier build: only what failed or was skipped in it is run, as it ran there. `load_id` names a
    sync: what stands on the tables that it changed is built, or everything where that alone would not do.
    """

    select: NodeSelector | None = None
    full_refresh: StrictBool = False
    retry_of: str | None = Field(None, min_length=1, max_length=64, description="the id of a build that failed")
    load_id: str | None = Field(None, min_length=1, max_length=64, description="the id of a sync that has landed")

    @model_validator(mode="after")
    def _retry_stands_alone(self) -> "BuildRequest":
        if self.retry_of is not None and (self.select is not None or self.full_refresh):
            raise ValueError("retry_of runs what that build left undone: leave out select and full_refresh")
        if self.load_id is not None and (self.select, self.full_refresh, self.retry_of) != (None, False, None):
            raise ValueError("load_id finds out what is to be built: leave out select, full_refresh and retry_of")
        return self


class AccountScope(_Request):
    """Named accounts, whether or not they are active prospects."""

    account_ids: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(min_length=1, max_length=1000)


class LoadScope(_Request):
    """The accounts that a load has changed, as the build with that `load_id` found them: active prospects, and others
    that have a lead."""

    load_id: str = Field(min_length=1, max_length=64)


class ScoringRequest(_Request):
    """Score active prospects, best baseline first. Unchanged accounts cost no model call unless `force`.

    `limit` takes the top of the ranking before unchanged ones are skipped, so a repeat does no more work.
    `dry_run` asks the model and reports, and writes nothing.
    """

    scope: Literal["all"] | AccountScope | LoadScope = "all"
    limit: Count | None = Field(None, ge=1, le=10_000_000)
    force: StrictBool = False
    dry_run: StrictBool = False


class PipelineRequest(_Request):
    """The three, one after the other, as one job with three children."""

    sync: SyncRequest
    build: BuildRequest = BuildRequest()
    scoring: ScoringRequest = ScoringRequest()

    @model_validator(mode="after")
    def _new_data_needs_a_whole_build(self) -> "PipelineRequest":
        if self.build.retry_of is not None:
            raise ValueError(
                "build.retry_of: a pipeline lands new data first, of which a retry would build only a part"
            )
        if self.build.load_id is not None:
            raise ValueError("build.load_id: the load is the pipeline's own, which isn't known yet")
        return self


class RefreshRequest(_Request):
    """A pipeline that change events ask for: read the records that they name, build what that changes, rescore the
    accounts. `records` is counted when they are read."""

    trigger: Literal["change_events"] = "change_events"
    source: str = Field(min_length=1, max_length=64)
    records: dict[str, int] | None = None


@dataclass(frozen=True)
class ChangeSource:
    """What change events may name of a source: the objects that its sync can read by id, and how their ids look."""

    objects: frozenset[str]
    record_id: re.Pattern[str]


CHANGE_SOURCES: dict[str, ChangeSource] = {
    "hubspot": ChangeSource(frozenset({"companies", "contacts", "deals"}), re.compile(r"[0-9]{1,20}")),
    "salesforce": ChangeSource(
        frozenset(
            {"Account", "Contact", "Lead", "Opportunity", "OpportunityContactRole", "Campaign", "CampaignMember"}
            | {"Task", "Event", "User"}
        ),
        re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?"),
    ),
}
