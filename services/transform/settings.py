"""Settings of the transform service alone."""

from datetime import date
from functools import lru_cache
from pathlib import Path

from pydantic import Field

from shared.settings import EnvSettings


class TransformSettings(EnvSettings):
    """Where dbt's project, its weights and its working files are."""

    data_dir: Path = Field(Path("var"), validation_alias="GTM_DATA_DIR")
    dbt_project_dir: Path = Field(Path("dbt_transform"), validation_alias="GTM_DBT_PROJECT_DIR")
    scoring_weights_path: Path = Field(Path("config/scoring_weights.yml"), validation_alias="GTM_SCORING_WEIGHTS")
    dbt_threads: int = Field(4, ge=1, le=64, validation_alias="GTM_DBT_THREADS")
    dbt_stop_seconds: float = Field(10, gt=0, validation_alias="GTM_DBT_STOP_SECONDS")
    """How long a cancelled dbt may take to cancel its queries before it is killed."""
    as_of_date: date | None = Field(None, validation_alias="GTM_AS_OF_DATE")
    """The day that all windows end on; the UTC day of the build when None. For judging scores on past data."""

    @property
    def dbt_dir(self) -> Path:
        """dbt's own files: one folder per build under `runs`, and the parsed project that builds share."""
        return self.data_dir / "dbt"


@lru_cache
def transform_settings() -> TransformSettings:
    """Read once a process; tests clear the cache."""
    return TransformSettings()
