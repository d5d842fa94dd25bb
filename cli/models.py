"""The answers of the REST API, as far as the terminal reads them. Unknown members are kept and printed by `--json`."""

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, PrivateAttr, model_validator

from shared.contracts import TERMINAL_STATES, JobState


class _Answer(BaseModel):
    model_config = ConfigDict(extra="allow")

    _sent: dict[str, Any] = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _keep_what_was_sent(cls, data: Any, build: ModelWrapValidatorHandler[Self]) -> Self:
        answer = build(data)
        if isinstance(data, dict):
            answer._sent = data
        return answer

    def to_json(self) -> dict[str, Any]:
        """What the service sent, to the letter."""
        return self._sent


class FieldError(_Answer):
    """One refused field of a request."""

    field: str = ""
    message: str = ""


class Problem(_Answer):
    """RFC 9457 problem+json."""

    title: str = "The request failed"
    status: int | None = None
    detail: str | None = None
    code: str | None = None
    errors: list[FieldError] | None = None


class Progress(_Answer):
    """How far a job is; `total` is None while nobody knows it."""

    phase: str | None = None
    done: int | None = None
    total: int | None = None
    unit: str | None = None


class Job(_Answer):
    """A job as a service tells it. Times are UTC."""

    id: str
    kind: str
    state: JobState
    progress: Progress | None = None
    result: dict[str, Any] | None = None
    error: Problem | None = None
    request: dict[str, Any] | None = None
    attempts: int = 0
    subject: str | None = None
    parent_id: str | None = None
    children: list["Job"] | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def parts(self) -> list["Job"]:
        """The jobs that do the work: a pipeline's children, else the job itself."""
        return self.children or [self]

    @property
    def about(self) -> str | None:
        """What a job that events have asked for is about."""
        if self.subject is None or self.kind != "pipeline":
            return self.subject
        counts = (self.request or {}).get("records") or {}
        numbers = ", ".join(f"{count:,} {name}" for name, count in counts.items() if isinstance(count, int))
        return f"changed records of {self.subject}{f': {numbers}' if numbers else ''}"

    @property
    def is_finished(self) -> bool:
        return self.state in TERMINAL_STATES

    @property
    def seconds(self) -> float | None:
        """From start to finish; None while it waits or runs."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()


class Reason(_Answer):
    """A factor of a lead's baseline score; `points` is signed."""

    factor: str
    component: str = ""
    points: float = 0
    max_points: float | None = None
    value: str | None = None
    explanation: str = ""


class Lead(_Answer):
    """A lead as sales systems read it."""

    account_id: str
    account_name: str | None = None
    domain: str | None = None
    lead_score: int
    baseline_score: int
    fit_score: int | None = None
    engagement_score: int | None = None
    llm_score: int | None = None
    tier: str
    reasons: list[Reason] = []
    factors: list[Reason] | None = None
    score_bound: int | None = None
    pitch: str | None = None
    next_action: str | None = None
    score_source: str | None = None
    pitch_source: str | None = None
    scored_at: datetime | None = None
    is_active: bool = True
    inactive_reason: str | None = None
    history: list[dict[str, Any]] | None = None

    def strongest_reasons(self, count: int) -> list[Reason]:
        """By what they moved, up or down."""
        return sorted(self.reasons, key=lambda reason: -abs(reason.points))[:count]


class JobPage(_Answer):
    """One page of jobs, newest first."""

    items: list[Job]
    next_cursor: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Also where several pages were read."""
        return {"items": [item.to_json() for item in self.items], "next_cursor": self.next_cursor}


class LeadPage(_Answer):
    """One page of leads, highest score first."""

    items: list[Lead]
    next_cursor: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Also where several pages were read."""
        return {"items": [item.to_json() for item in self.items], "next_cursor": self.next_cursor}


class BuildNode(_Answer):
    """What one model or test of a build did."""

    node: str
    unique_id: str = ""
    kind: str = ""
    status: str
    seconds: float | None = None
    rows_affected: int | None = None
    failures: int | None = None
    message: str | None = None
    rows_in: str | None = None


class BuildNodePage(_Answer):
    """A build's nodes in their order."""

    items: list[BuildNode]
    next_cursor: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Also where several pages were read."""
        return {"items": [item.to_json() for item in self.items], "next_cursor": self.next_cursor}


class FailedRows(_Answer):
    """Rows that a test found."""

    node: str
    failures: int
    kept: int
    rows_in: str
    items: list[dict[str, Any]]
    next_offset: int | None = None


class CheckedReject(_Answer):
    """A row that a sync would reject."""

    table: str
    file: str
    line: int
    reason: str


class CheckedFile(_Answer):
    """What a sync would make of one file."""

    file: str
    rows: int = 0
    rejected: int = 0
    without_key: int = 0
    has_landed: bool = False
    error: str | None = None
    notes: list[str] = []


class CheckedTable(_Answer):
    """One RAW table and the files that it takes."""

    table: str
    files: list[CheckedFile]


class FilesCheck(_Answer):
    """What a sync of files would land and reject."""

    is_well: bool
    rows: int
    rejected: int
    tables: list[CheckedTable]
    rejects: list[CheckedReject] = []
    missing_tables: list[str] = []
    unmapped_files: list[str] = []
    broken_files: dict[str, str] = {}


class Check(_Answer):
    """One thing that a service needs in order to work."""

    ok: bool
    detail: str | None = None


class Readiness(_Answer):
    """What `/readyz` says."""

    status: str
    version: str | None = None
    checks: dict[str, Check] = {}
