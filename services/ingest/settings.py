"""Settings of the ingest service alone."""

import os
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from shared.settings import EnvSettings


class IngestSettings(EnvSettings):
    """Where sources may read, and how much of one is held in memory."""

    data_dir: Path = Field(Path("var"), validation_alias="GTM_DATA_DIR")
    files_roots: Annotated[tuple[Path, ...], NoDecode] = Field((Path("data"),), validation_alias="GTM_FILES_ROOTS")
    sources_dir: Path = Field(Path("config/sources"), validation_alias="GTM_SOURCES_DIR")
    batch_rows: int = Field(50_000, ge=1, validation_alias="GTM_INGEST_BATCH_ROWS")

    @field_validator("files_roots", mode="before")
    @classmethod
    def _split_roots(cls, value: object) -> object:
        return tuple(part for part in value.split(os.pathsep) if part) if isinstance(value, str) else value

    @property
    def spool_dir(self) -> Path:
        """Where batches wait to be merged; on the data folder's disk, since /tmp is often memory."""
        return self.data_dir / "spool"


@lru_cache
def ingest_settings() -> IngestSettings:
    """Read once a process; tests clear the cache."""
    return IngestSettings()
