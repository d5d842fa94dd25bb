"""Every source by name. A new one is its module and one line in `_SOURCES`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from services.ingest.adapters.files.check import check_folder
from services.ingest.adapters.files.plan import FilesOptions
from services.ingest.adapters.files.source import check_files, open_files
from services.ingest.adapters.hubspot.source import check_hubspot, open_hubspot
from services.ingest.adapters.mock import check_mock, open_mock
from services.ingest.adapters.salesforce.source import SalesforceOptions, check_salesforce, open_salesforce
from services.ingest.domain.file_check import FilesCheck
from services.ingest.domain.hubspot.options import HubSpotOptions
from services.ingest.domain.mock.options import MockOptions
from services.ingest.domain.schema_drift import SchemaWatch
from services.ingest.domain.sources import Source, SourceStates, SyncRun
from services.ingest.settings import IngestSettings
from shared.contracts import SyncRequest
from shared.errors import InvalidRequest

OptionsT = TypeVar("OptionsT", bound=BaseModel)


@dataclass(frozen=True)
class _SourceType(Generic[OptionsT]):
    options: type[OptionsT]
    check: Callable[[OptionsT, IngestSettings], None]
    """Raises InvalidRequest for what can be known to be wrong before the job is accepted."""
    open: Callable[[OptionsT, IngestSettings, SyncRun], Source]
    keeps_place: bool = False
    """It gives checkpoints: a sync that meets the time limit goes on in a new task instead of failing."""


_SOURCES: Final[dict[str, _SourceType[Any]]] = {
    "files": _SourceType(FilesOptions, check_files, open_files),
    "hubspot": _SourceType(HubSpotOptions, check_hubspot, open_hubspot, keeps_place=True),
    "mock": _SourceType(MockOptions, check_mock, open_mock),
    "salesforce": _SourceType(SalesforceOptions, check_salesforce, open_salesforce, keeps_place=True),
}


def validate_sync_request(request: SyncRequest, settings: IngestSettings) -> None:
    """What the API asks before it accepts a sync.

    Raises:
        InvalidRequest: an unknown source, a wrong option, and for `files` a missing folder, an unknown mapping or a
            path outside GTM_FILES_ROOTS.
    """
    kind = _source_type(request.source)
    kind.check(_parse_options(request, kind), settings)


def check_source_files(request: SyncRequest, settings: IngestSettings, states: SourceStates) -> FilesCheck:
    """What a sync of files would land and reject. Reads the files, lands nothing.

    Raises:
        InvalidRequest: as `validate_sync_request`; another source, whose records can't be looked at without reading it.
    """
    kind = _source_type(request.source)
    if kind.options is not FilesOptions:
        raise InvalidRequest(
            f"Only files can be checked before they land, and '{request.source}' is none of their sources.",
            code="check-not-supported",
            title="This source can't be checked",
            field="source",
        )
    options = FilesOptions.model_validate(_parse_options(request, kind))
    watch = SchemaWatch(request.on_schema_change, dict(states.read_fields(request.source)))
    return check_folder(options, settings, states.read_cursors(request.source), watch)


def open_source(request: SyncRequest, settings: IngestSettings, run: SyncRun) -> Source:
    """The requested source, ready to be read. Raises as `validate_sync_request`."""
    kind = _source_type(request.source)
    options = _parse_options(request, kind)
    kind.check(options, settings)
    return kind.open(options, settings, run)


def keeps_place(request: Mapping[str, Any]) -> bool:
    """Whether a sync with this request goes on where an earlier attempt has stopped."""
    kind = _SOURCES.get(request["source"])
    return kind is not None and kind.keeps_place


def _source_type(name: str) -> _SourceType[Any]:
    if name not in _SOURCES:
        raise InvalidRequest(
            f"There is no source '{name}'. Known sources: {', '.join(sorted(_SOURCES))}.",
            code="unknown-source",
            title="Unknown source",
            field="source",
        )
    return _SOURCES[name]


def _parse_options(request: SyncRequest, kind: _SourceType[OptionsT]) -> OptionsT:
    try:
        return kind.options.model_validate(request.options)
    except ValidationError as error:
        problems = [_describe(dict(problem), kind.options) for problem in error.errors()]
        raise InvalidRequest(
            f"Source '{request.source}': {'; '.join(problems)}.",
            code="invalid-options",
            title="The source's options are not valid",
            fields=[".".join(("options", *map(str, problem["loc"]))) for problem in error.errors()],
        ) from None


def _describe(problem: dict[str, Any], options: type[BaseModel]) -> str:
    field = ".".join(("options", *map(str, problem["loc"])))
    known = ", ".join(options.model_fields)
    if problem["type"] == "extra_forbidden":
        return f"{field} is not an option; the options are {known}"
    if problem["type"] == "missing":
        return f"{field} is missing"
    return f"{field} = {problem['input']!r}: {problem['msg'][:1].lower()}{problem['msg'][1:]}"
