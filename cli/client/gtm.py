"""The REST API as `gtm` wants it: any service for a job, lists to their end, a start by its request."""

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Final, Self, TypeVar

from pydantic import BaseModel

from cli.client.operations import Operations, Polled
from cli.errors import ServiceUnreachable
from cli.models import BuildNode, BuildNodePage, FailedRows, FilesCheck, Job, JobPage, Lead, LeadPage, Readiness
from cli.settings import SERVICES, CliSettings, Endpoint, resolve_endpoints
from cli.transport import RETRY_WAITS_SECONDS, Transport
from shared.contracts import BuildRequest, PipelineRequest, ScoringRequest, SyncRequest

_PAGE_LIMIT: Final = 100

AnswerT = TypeVar("AnswerT")
StartRequest = SyncRequest | BuildRequest | ScoringRequest | PipelineRequest


class GtmClient:
    """All three services behind one object; `api` has the operations one by one.

    Every method raises ServiceUnreachable (no answer), RequestRefused (4xx) or ServiceFailed (429, 5xx, or an answer
    that is not ours).
    """

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        *,
        key: str | None = None,
        retry_waits: Sequence[float] = RETRY_WAITS_SECONDS,
    ) -> None:
        self.endpoints = dict(endpoints)
        self._http = Transport(endpoints, key=key, retry_waits=retry_waits)
        self.api = Operations(self._http)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def start(self, request: StartRequest) -> Polled:
        """Repeated by itself on connection errors and 503, never giving two jobs."""
        if isinstance(request, SyncRequest):
            return self.api.start_sync(request)
        if isinstance(request, BuildRequest):
            return self.api.start_build(request)
        if isinstance(request, ScoringRequest):
            return self.api.start_scoring(request)
        return self.api.start_pipeline(request)

    def check_files(self, request: SyncRequest) -> FilesCheck:
        """What a sync would land and reject."""
        return self.api.check_files(request)

    def job(self, job_id: str) -> Polled:
        """One job, from whichever service answers."""
        polled = self._from_any(lambda service: self.api.get_job(service, job_id))
        assert polled is not None, "a job that was not asked for conditionally comes whole"
        return polled

    def look_again(self, polled: Polled) -> Polled:
        """The job as it is now; `polled` itself where nothing has changed, which costs no body."""
        job_id, etag = polled.job.id, polled.etag
        return self._from_any(lambda service: self.api.get_job(service, job_id, if_none_match=etag)) or polled

    def jobs(self, *, kind: str | None = None, state: str | None = None, limit: int = 20) -> JobPage:
        """The newest jobs; follows the cursor until `limit`."""

        def page(cursor: str | None, count: int) -> JobPage:
            return self._from_any(
                lambda service: self.api.list_jobs(service, kind=kind, state=state, cursor=cursor, limit=count)
            )

        items: list[Job] = []
        cursor = _follow(page, items, limit)
        return JobPage(items=items, next_cursor=cursor)

    def cancel(self, job_id: str) -> Job:
        """Ask a job to stop at its next batch; a finished job stays as it is."""
        return self._from_any(lambda service: self.api.cancel_job(service, job_id))

    def build_nodes(self, build_id: str, *, statuses: Sequence[str] | None = None) -> BuildNodePage:
        """Every node of a build; follows the cursor to its end."""
        items: list[BuildNode] = []
        _follow(
            lambda cursor, count: self.api.list_build_nodes(build_id, status=statuses, cursor=cursor, limit=count),
            items,
            None,
        )
        return BuildNodePage(items=items, next_cursor=None)

    def failed_rows(self, build_id: str, node: str, *, limit: int, offset: int) -> FailedRows:
        """Some of the rows that a test found in a build."""
        return self.api.list_failed_rows(build_id, node, limit=limit, offset=offset)

    def leads(self, *, limit: int = 20, tier: str | None = None) -> LeadPage:
        """The leads with the highest scores; follows the cursor until `limit`."""
        items: list[Lead] = []
        cursor = _follow(lambda cursor, count: self.api.list_leads(tier=tier, cursor=cursor, limit=count), items, limit)
        return LeadPage(items=items, next_cursor=cursor)

    def lead(self, account_id: str) -> Lead:
        """One lead with its history."""
        return self.api.get_lead(account_id)

    def readiness(self, service: str) -> Readiness:
        """What the service says of itself; an unavailable one (503) is an answer here, no error."""
        return self.api.get_readiness(service)

    def _from_any(self, ask: Callable[[str], AnswerT]) -> AnswerT:
        """All services read one operations database, so one that is down hides no job."""
        missing: ServiceUnreachable | None = None
        for service in SERVICES:
            try:
                return ask(service)
            except ServiceUnreachable as error:
                missing = missing or error
        assert missing is not None
        raise missing


def connect(settings: CliSettings) -> GtmClient:
    """A client for the services that the settings name; sends nothing yet."""
    key = settings.api_key.get_secret_value() if settings.api_key else None
    return GtmClient(resolve_endpoints(settings), key=key)


ItemT = TypeVar("ItemT", bound=BaseModel)
PageT = TypeVar("PageT", JobPage, LeadPage, BuildNodePage)


def _follow(ask: Callable[[str | None, int], PageT], items: list[ItemT], limit: int | None) -> str | None:
    """Fill `items` page by page, up to `limit`; the cursor of what is left."""
    cursor: str | None = None
    while True:
        wanted = _PAGE_LIMIT if limit is None else min(limit - len(items), _PAGE_LIMIT)
        page = ask(cursor, wanted)
        items += page.items  # type: ignore[arg-type]  # a page's items are of its own kind
        cursor = page.next_cursor
        if limit is not None:
            del items[limit:]
        if cursor is None or not page.items or (limit is not None and len(items) >= limit):
            return cursor
