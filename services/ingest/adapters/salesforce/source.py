"""The `salesforce` source: objects by SOQL over REST or Bulk API 2.0, changes by `(SystemModstamp, Id)`."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, field_validator, model_validator

from services.ingest.adapters.crm_http import Patience
from services.ingest.adapters.rate_budget import open_rate_budget
from services.ingest.adapters.salesforce.api import SalesforceApi
from services.ingest.adapters.salesforce.bulk import BulkJobs, Pace
from services.ingest.adapters.salesforce.login import SalesforceLogin
from services.ingest.adapters.salesforce.quota import QuotaGuard
from services.ingest.adapters.salesforce.reading import OpenObject
from services.ingest.adapters.salesforce.stream import Habits, ObjectStream
from services.ingest.domain.salesforce.places import Place
from services.ingest.domain.salesforce.sobjects import SOBJECTS, Description, to_long_id
from services.ingest.domain.salesforce.soql import Window, to_stamp
from services.ingest.domain.sources import SourceBatch, SourceEvent, SyncRun
from services.ingest.settings import IngestSettings
from shared.errors import InvalidRequest
from shared.settings import queue_settings

PATIENCE = Patience()
PACE = Pace()
REQUESTS: Final = 200  # in 10 s, of all workers: Salesforce counts a day's requests and 25 long ones at once
_WINDOW_SECONDS: Final = 10.0
_FIRST_DAY: Final = datetime(1999, 1, 1, tzinfo=UTC)  # there are no records from before Salesforce


def _known(name: str) -> str:
    if name not in SOBJECTS:
        raise ValueError(f"there is no object '{name}' here; known: {', '.join(SOBJECTS)}")
    return name


ObjectName = Annotated[str, AfterValidator(_known)]


class SalesforceOptions(BaseModel):
    """What to read. `since` and `until` read the records that changed in that window, and move no bookmark; `records`
    reads single ones, with what was merged into them and what belongs to them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    objects: tuple[ObjectName, ...] = Field(tuple(SOBJECTS), min_length=1)
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    records: dict[ObjectName, Annotated[tuple[str, ...], Field(min_length=1, max_length=2_000)]] | None = None

    @field_validator("records")
    @classmethod
    def _long_ids(cls, records: dict[ObjectName, tuple[str, ...]] | None) -> dict[ObjectName, tuple[str, ...]] | None:
        if records is None:
            return None
        return {name: tuple(dict.fromkeys(to_long_id(id) for id in ids)) for name, ids in records.items()}

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError("since must be before until")
        if self.records is not None and (self.since or self.until):
            raise ValueError("records can't be narrowed by since and until")
        return self

    @property
    def backfill(self) -> Window | None:
        if self.since is None and self.until is None:
            return None
        return Window(to_stamp(self.since or _FIRST_DAY), None if self.until is None else to_stamp(self.until))


def check_salesforce(options: SalesforceOptions, settings: IngestSettings) -> None:
    """Raises InvalidRequest `source-not-configured` naming what is not set."""
    settings.require("salesforce", "salesforce_login_url", "salesforce_client_id")
    if settings.salesforce_private_key_file is not None:
        settings.require("salesforce", "salesforce_username")
    elif settings.salesforce_client_secret is None:
        raise InvalidRequest(
            "Source 'salesforce' needs GTM_SALESFORCE_PRIVATE_KEY_FILE and GTM_SALESFORCE_USERNAME (JWT bearer login), "
            "or GTM_SALESFORCE_CLIENT_SECRET (client credentials), in the environment or .env of the ingest service "
            "and its worker (see .env.example); then restart both.",
            code="source-not-configured",
            title="The source is not configured",
            settings=["GTM_SALESFORCE_PRIVATE_KEY_FILE", "GTM_SALESFORCE_CLIENT_SECRET"],
        )


def open_salesforce(options: SalesforceOptions, settings: IngestSettings, run: SyncRun) -> "SalesforceSource":
    """Nothing is called before it is read."""
    return SalesforceSource(options, settings, run)


class SalesforceSource:
    """See `services.ingest.domain.sources.Source`. One stream a Salesforce object."""

    name = "salesforce"
    state: dict[str, Any] | None = None
    is_complete = False
    missing_tables: tuple[str, ...] = ()
    unmapped_files: tuple[str, ...] = ()

    def __init__(self, options: SalesforceOptions, settings: IngestSettings, run: SyncRun) -> None:
        self._options = options
        self._settings = settings
        self._run = run

    def read(self, batch_rows: int) -> Iterator[SourceEvent]:
        """All objects are described before the first is read, so that a missing permission is told at once."""
        api = self._open_api()
        try:
            api.read_limits()
            chosen = self._options.records or self._options.objects
            described = {name: api.describe(name) for name in self._with_related(tuple(chosen))}
            bulk = BulkJobs(api, self._run, PACE)
            opened = {name: self._open(api, bulk, description, batch_rows) for name, description in described.items()}
            if self._options.records is not None:
                yield from self._read_records(opened)
                return
            for name in self._options.objects:
                yield from self._read_stream(opened[name])
        finally:
            api.close()

    def _open_api(self) -> SalesforceApi:
        settings = self._settings
        login = SalesforceLogin(settings, self._run, PATIENCE)
        places = (Place.from_json(cursor) for cursor in self._run.cursors.values())
        spent = max((place.spent for place in places if place.spent_by == self._run.job_id), default=0)
        quota = QuotaGuard(settings.salesforce_quota_percent_total, settings.salesforce_quota_percent_per_run, spent)
        redis_url = queue_settings().redis_url.get_secret_value()
        return SalesforceApi(
            login.open(),
            login.headers,
            budget=open_rate_budget(redis_url, "salesforce", REQUESTS, _WINDOW_SECONDS),
            quota=quota,
            version=settings.salesforce_api_version,
            run=self._run,
            patience=PATIENCE,
        )

    def _with_related(self, names: tuple[str, ...]) -> tuple[str, ...]:
        if self._options.records is None:
            return names
        related = (other for name in names for other, _ in SOBJECTS[name].related)
        return tuple(dict.fromkeys((*names, *related)))

    def _open(self, api: SalesforceApi, bulk: BulkJobs, description: Description, batch_rows: int) -> OpenObject:
        return OpenObject(SOBJECTS[description.sobject], description, api, bulk, self._run, batch_rows)

    def _read_stream(self, one: OpenObject) -> Iterator[SourceEvent]:
        settings, backfill = self._settings, self._options.backfill
        name = one.sobject.name
        if backfill is not None:
            name = f"{name} {backfill.since} to {backfill.until or 'now'}"
        habits = Habits(settings.crm_lookback_seconds, settings.salesforce_bulk_rows, settings.salesforce_whole_days)
        cursor = self._run.cursors.get(name)
        last = None if cursor is None else Place.from_json(cursor)
        yield from ObjectStream(one, name, habits, backfill).read(last)

    def _read_records(self, opened: dict[str, OpenObject]) -> Iterator[SourceEvent]:
        for name, ids in (self._options.records or {}).items():
            masters: list[str] = []
            for batch in opened[name].fetch_ids("Id", ids):
                yield batch
                masters += _masters(batch)
            yield from opened[name].fetch_ids("Id", [id for id in dict.fromkeys(masters) if id not in ids])
            for other, reference in SOBJECTS[name].related:
                if reference in opened[other].description.types:
                    yield from opened[other].fetch_ids(reference, ids)


def _masters(batch: SourceBatch) -> list[str]:
    """What the batch's records were merged into."""
    if "master_record_id" not in batch.rows.column_names:
        return []
    return [id for id in batch.rows["master_record_id"].to_pylist() if id]
