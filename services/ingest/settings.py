"""Settings of the ingest service alone."""

import os
from functools import lru_cache
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from shared.errors import InvalidRequest
from shared.settings import EnvSettings
from shared.web_addresses import require_service_url


class WatchedFolder(NamedTuple):
    """A folder that is synced by a mapping whenever its files have changed."""

    path: str
    mapping: str


class IngestSettings(EnvSettings):
    """Where sources may read, how much of one is held before it lands, and the CRMs' addresses and credentials."""

    data_dir: Path = Field(Path("var"), validation_alias="GTM_DATA_DIR")
    files_roots: Annotated[tuple[Path, ...], NoDecode] = Field((Path("data"),), validation_alias="GTM_FILES_ROOTS")
    files_watch: Annotated[tuple[WatchedFolder, ...], NoDecode] = Field((), validation_alias="GTM_FILES_WATCH")
    files_watch_seconds: float = Field(10, ge=0.05, validation_alias="GTM_FILES_WATCH_SECONDS")
    sources_dir: Path = Field(Path("config/sources"), validation_alias="GTM_SOURCES_DIR")
    files_max_unpacked_mb: int = Field(10_240, ge=1, validation_alias="GTM_FILES_MAX_UNPACKED_MB")
    batch_rows: int = Field(50_000, ge=1, validation_alias="GTM_INGEST_BATCH_ROWS")
    segment_rows: int = Field(20_000, ge=1, validation_alias="GTM_INGEST_SEGMENT_ROWS")
    segment_seconds: float = Field(5, ge=0, validation_alias="GTM_INGEST_SEGMENT_SECONDS")
    crm_lookback_seconds: int = Field(300, ge=0, validation_alias="GTM_CRM_LOOKBACK_SECONDS")

    hubspot_token: SecretStr | None = Field(None, validation_alias="GTM_HUBSPOT_TOKEN")
    hubspot_url: str = Field("https://api.hubapi.com", validation_alias="GTM_HUBSPOT_URL")
    hubspot_requests_per_10_seconds: int = Field(100, ge=1, validation_alias="GTM_HUBSPOT_REQUESTS_PER_10_SECONDS")

    salesforce_login_url: str | None = Field(None, validation_alias="GTM_SALESFORCE_LOGIN_URL")
    salesforce_client_id: str | None = Field(None, validation_alias="GTM_SALESFORCE_CLIENT_ID")
    salesforce_client_secret: SecretStr | None = Field(None, validation_alias="GTM_SALESFORCE_CLIENT_SECRET")
    salesforce_username: str | None = Field(None, validation_alias="GTM_SALESFORCE_USERNAME")
    salesforce_private_key_file: Path | None = Field(None, validation_alias="GTM_SALESFORCE_PRIVATE_KEY_FILE")
    salesforce_api_version: str = Field("62.0", pattern=r"^\d+\.0$", validation_alias="GTM_SALESFORCE_API_VERSION")
    salesforce_quota_percent_total: float = Field(
        80, gt=0, le=100, validation_alias="GTM_SALESFORCE_QUOTA_PERCENT_TOTAL"
    )
    salesforce_quota_percent_per_run: float = Field(
        25, gt=0, le=100, validation_alias="GTM_SALESFORCE_QUOTA_PERCENT_PER_RUN"
    )
    salesforce_bulk_rows: int = Field(20_000, ge=1, validation_alias="GTM_SALESFORCE_BULK_ROWS")
    salesforce_whole_days: float = Field(7, gt=0, validation_alias="GTM_SALESFORCE_WHOLE_DAYS")

    @field_validator("hubspot_url", "salesforce_login_url")
    @classmethod
    def _address_of_a_service(cls, value: str | None) -> str | None:
        """The credentials go there, and nowhere else: no redirect is followed."""
        return require_service_url(value) if value else value

    @field_validator("files_roots", mode="before")
    @classmethod
    def _split_roots(cls, value: object) -> object:
        return tuple(part for part in value.split(os.pathsep) if part) if isinstance(value, str) else value

    @field_validator("files_watch", mode="before")
    @classmethod
    def _split_watched(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [part.rpartition("=") for part in value.split(os.pathsep) if part]
        for path, _, mapping in pairs:
            if not path or not mapping:
                raise ValueError(
                    "folder=mapping is wanted, such as data/hubspot=hubspot_export; several separated by :"
                )
        return tuple(WatchedFolder(path, mapping) for path, _, mapping in pairs)

    @property
    def spool_dir(self) -> Path:
        """Where batches wait to be merged; on the data folder's disk, since /tmp is often memory."""
        return self.data_dir / "spool"

    def require(self, source: str, *fields: str) -> None:
        """For a source's check: raises InvalidRequest `source-not-configured` naming each setting that is not set."""
        names = [self._variable(field) for field in fields if getattr(self, field) in (None, "")]
        if names:
            raise InvalidRequest(
                f"Source '{source}' needs {', '.join(names)} in the environment or .env of the ingest service and its "
                "worker (see .env.example); then restart both.",
                code="source-not-configured",
                title="The source is not configured",
                settings=names,
            )

    @classmethod
    def _variable(cls, field: str) -> str:
        return str(cls.model_fields[field].validation_alias)


@lru_cache
def ingest_settings() -> IngestSettings:
    """Read once a process; tests clear the cache."""
    return IngestSettings()
