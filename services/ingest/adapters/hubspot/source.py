"""The `hubspot` source: which streams a sync reads, and from where."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from services.ingest.adapters.crm_http import CrmClient
from services.ingest.adapters.hubspot import api as limits
from services.ingest.adapters.hubspot.activity import ActivityReader
from services.ingest.adapters.hubspot.api import GENERAL, SEARCH, CrmApi, Fields
from services.ingest.adapters.hubspot.crm_objects import ObjectReader
from services.ingest.adapters.hubspot.side_by_side import SideBySide
from services.ingest.adapters.rate_budget import open_rate_budget
from services.ingest.domain.hubspot.cursors import Position, next_position, window_stream
from services.ingest.domain.hubspot.objects import CRM_OBJECTS, CrmObject
from services.ingest.domain.hubspot.options import CrmObjectName, HubSpotOptions
from services.ingest.domain.hubspot.records import to_property_batch
from services.ingest.domain.sources import SourceEvent, SyncRun
from services.ingest.settings import IngestSettings
from shared.errors import InvalidRequest, TerminalError
from shared.settings import queue_settings

_AT_ONCE: Final = 4
# Page views and email events arrive by way of queues, later than they happened, and move no stamp of any record.
_EVENTS_LOOKBACK: Final = timedelta(hours=6)
_EVENTS: Final = frozenset({"web_events", "email_events"})
_ONE: Final = {"limit": "1"}
# What is asked for one record, or one page, to learn whether the token may read it at all.
_PROBES: Final[dict[str, tuple[str, dict[str, str], str]]] = {
    "owners": ("/crm/v3/owners", _ONE, "results"),
    "pipelines": ("/crm/v3/pipelines/deals", {}, "results"),
    "web_events": ("/events/v3/events", {**_ONE, "eventType": "e_visited_page"}, "results"),
    "form_submissions": ("/marketing/v3/forms", _ONE, "results"),
    "email_events": ("/email/public/v1/events", _ONE, "events"),
}


class HubSpotSource:
    """See `services.ingest.domain.sources.Source`."""

    name = "hubspot"
    state: dict[str, Any] | None = None
    is_complete = False  # a scan says so table by table
    missing_tables: tuple[str, ...] = ()
    unmapped_files: tuple[str, ...] = ()

    def __init__(self, options: HubSpotOptions, settings: IngestSettings, run: SyncRun) -> None:
        self._options = options
        self._run = run
        self._lookback = timedelta(seconds=settings.crm_lookback_seconds)
        self._threads = SideBySide(run.pause, _AT_ONCE)
        self._client = _open_client(settings, replace(run, pause=self._threads.pause))
        self._api = CrmApi(self._client, self._threads.pause)

    def read(self, batch_rows: int) -> Iterator[SourceEvent]:
        """Streams side by side. Batches are what HubSpot gives at once: up to a thousand rows.

        Raises:
            TerminalError: `crm-scope-missing`, before anything is read; `unknown-property`.
        """
        try:
            if self._options.records is not None:
                yield from self._read_records(self._options.records)
                return
            described = self._check_access()
            started = self._client.server_time()
            readings = [self._reading(name, described, started) for name in dict.fromkeys(self._options.objects)]
            yield from self._threads.read(readings)
        finally:
            self._client.close()

    def _check_access(self) -> dict[str, list[dict[str, Any]]]:
        """One small call per object: a scope that lacks is told with all others, and before an hour has gone by.

        Returns:
            The properties of each CRM object that is asked for.
        """
        described: dict[str, list[dict[str, Any]]] = {}
        denied: dict[str, TerminalError] = {}
        for name in dict.fromkeys(self._options.objects):
            try:
                if name in CRM_OBJECTS:
                    described[name] = self._api.list_properties(name)
                    self._api.get_page(f"/crm/v3/objects/{name}", _ONE)
                else:
                    path, params, member = _PROBES[name]
                    self._api.get_page(path, params, member=member)
            except TerminalError as error:
                if error.code != "crm-scope-missing":
                    raise
                denied[name] = error
        if denied:
            raise _denied(denied)
        return described

    def _reading(
        self, name: str, described: Mapping[str, list[dict[str, Any]]], started: datetime
    ) -> Callable[[], Iterator[SourceEvent]]:
        stream = window_stream(name, self._options.window)
        lookback = max(self._lookback, _EVENTS_LOOKBACK) if name in _EVENTS else self._lookback
        position = next_position(self._run, stream, started, lookback, self._options.window)
        following = [position.following(started, lookback)] if position.is_taken_over else []
        return partial(self._read_stream, name, stream, [position, *following], described.get(name, []))

    def _read_stream(
        self, name: str, stream: str, positions: list[Position], described: list[dict[str, Any]]
    ) -> Iterator[SourceEvent]:
        for position in positions:
            if position.phase != "done":  # else an earlier attempt of this job has read it
                yield from self._read_from(name, stream, position, described)

    def _read_from(
        self, name: str, stream: str, position: Position, described: list[dict[str, Any]]
    ) -> Iterator[SourceEvent]:
        if name in CRM_OBJECTS:
            yield to_property_batch(name, described)
            yield from self._object_reader(CRM_OBJECTS[name], described).read(stream, position)
            return
        activity = ActivityReader(self._api)
        readers = {
            "owners": activity.read_owners,
            "pipelines": activity.read_pipelines,
            "web_events": activity.read_web_events,
            "form_submissions": activity.read_submissions,
            "email_events": activity.read_email,
        }
        yield from readers[name](stream, position)

    def _read_records(self, records: Mapping[CrmObjectName, list[str]]) -> Iterator[SourceEvent]:
        """Just these, without a cursor: they land as one transaction."""
        for name, ids in records.items():
            reader = self._object_reader(CRM_OBJECTS[name], self._api.list_properties(name))
            for offset in range(0, len(ids), Fields(()).page * 10):
                yield from reader.read_ids(ids[offset : offset + Fields(()).page * 10])

    def _object_reader(self, crm_object: CrmObject, described: list[dict[str, Any]]) -> ObjectReader:
        types = {str(one["name"]): one.get("type") for one in described}
        return ObjectReader(self._api, crm_object, types, self._chosen(crm_object, types))

    def _chosen(self, crm_object: CrmObject, types: Mapping[str, str | None]) -> tuple[str, ...]:
        """Properties to ask for, in one order whatever the order of the description."""
        wanted = (self._options.properties or {}).get(crm_object.name)  # type: ignore[call-overload]
        if wanted is None:
            return tuple(sorted(types))
        unknown = [name for name in wanted if name not in types]
        if unknown:
            raise TerminalError(
                f"hubspot has no property {', '.join(unknown)} of {crm_object.name}. Take it out of "
                f"options.properties.{crm_object.name}, or write it as raw.hubspot_properties has it (its internal "
                "name, not its label).",
                code="unknown-property",
                title="The CRM has no such property",
                object=crm_object.name,
                properties=unknown,
            )
        return tuple(sorted({*wanted, *(name for name in crm_object.needed if name in types)}))


def check_hubspot(options: HubSpotOptions, settings: IngestSettings) -> None:
    """A token must be set that a header can hold; whether HubSpot takes it is learnt when the sync reads."""
    settings.require("hubspot", "hubspot_token", "hubspot_url")
    token = settings.hubspot_token.get_secret_value().strip() if settings.hubspot_token is not None else ""
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise InvalidRequest(
            "GTM_HUBSPOT_TOKEN has characters that no token has, such as a line break, a blank or an invisible one. "
            "Copy the private app's token again, then restart the ingest service and its worker.",
            code="source-not-configured",
            title="The source is not configured",
            settings=["GTM_HUBSPOT_TOKEN"],
        )


def open_hubspot(options: HubSpotOptions, settings: IngestSettings, run: SyncRun) -> HubSpotSource:
    """Ready to be read; nothing is asked of HubSpot yet."""
    return HubSpotSource(options, settings, run)


def _open_client(settings: IngestSettings, run: SyncRun) -> CrmClient:
    """A private app's token doesn't expire and can't be renewed: a second 401 is final.

    The limits are per app and per account: developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines.
    """
    token = settings.hubspot_token
    assert token is not None
    redis_url = queue_settings().redis_url.get_secret_value()
    budgets = {
        GENERAL: open_rate_budget(redis_url, GENERAL, settings.hubspot_requests_per_10_seconds, 10),
        SEARCH: open_rate_budget(redis_url, SEARCH, limits.SEARCHES_PER_SECOND, 1),
    }
    return CrmClient(
        settings.hubspot_url,
        authenticate=lambda: {"Authorization": f"Bearer {token.get_secret_value().strip()}"},
        budgets=budgets,
        source="hubspot",
        run=run,
    )


def _denied(denied: Mapping[str, TerminalError]) -> TerminalError:
    scopes = sorted({scope for error in denied.values() for scope in error.extensions.get("scopes", [])})
    unread = ", ".join(denied)
    return TerminalError(
        f"The private app's token may not read {unread}; {next(iter(denied.values())).detail} Nothing was read. "
        f"Grant the app {', '.join(scopes) or 'the scopes that docs/hubspot-source.md lists'} in HubSpot under "
        f"Settings > Integrations > Private Apps, or leave {unread} out of options.objects.",
        code="crm-scope-missing",
        title="The CRM denies access",
        source="hubspot",
        scopes=scopes,
        unread=list(denied),
    )
