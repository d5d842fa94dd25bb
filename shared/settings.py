"""Settings that two services read, from the environment or `.env`. `.env.example` explains each one for operators.

A service's own settings live in its `settings.py` and inherit `EnvSettings` too, so that all of them are read alike.
"""

import os
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.errors import TerminalError


class EnvSettings(BaseSettings):
    """Base of every settings class: environment first, then `.env`; unknown keys are other classes' business."""

    model_config = SettingsConfigDict(
        env_file=os.environ.get("GTM_ENV_FILE", ".env"),
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
        env_ignore_empty=True,
    )


class AppSettings(EnvSettings):
    """How the processes run, and who may call them."""

    env: Literal["local", "production"] = Field("production", validation_alias="GTM_ENV")
    data_dir: Path = Field(Path("var"), validation_alias="GTM_DATA_DIR")
    api_token: SecretStr | None = Field(None, validation_alias="GTM_API_TOKEN")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", validation_alias="GTM_LOG_LEVEL")
    log_format: Literal["json", "console"] = Field("json", validation_alias="GTM_LOG_FORMAT")

    @model_validator(mode="after")
    def _closed_by_default(self) -> "AppSettings":
        if self.api_token is not None and len(self.api_token.get_secret_value()) < 24:
            raise ValueError("GTM_API_TOKEN: at least 24 characters, e.g. from `openssl rand -hex 32`")
        return self


class QueueSettings(EnvSettings):
    """Redis as Celery's broker. It may be wiped at any moment: jobs live in the operations database."""

    redis_url: SecretStr = Field(SecretStr("redis://127.0.0.1:6379/0"), validation_alias="REDIS_URL")
    task_time_limit_seconds: int = Field(3600, ge=60, validation_alias="GTM_TASK_TIME_LIMIT_SECONDS")
    soft_shutdown_seconds: int = Field(20, ge=0, validation_alias="GTM_SOFT_SHUTDOWN_SECONDS")
    alive_file: Path | None = Field(None, validation_alias="GTM_ALIVE_FILE")


class OperationsSettings(EnvSettings):
    """The operations database and the clocks of the job protocol (ADR 0003)."""

    url: SecretStr | None = Field(None, validation_alias="GTM_OPERATIONS_URL")
    data_dir: Path = Field(Path("var"), validation_alias="GTM_DATA_DIR")
    lease_seconds: float = Field(20, gt=0, validation_alias="GTM_LEASE_SECONDS")
    heartbeat_seconds: float = Field(5, gt=0, validation_alias="GTM_HEARTBEAT_SECONDS")
    max_attempts: int = Field(3, ge=1, validation_alias="GTM_MAX_ATTEMPTS")
    redispatch_seconds: float = Field(10, gt=0, validation_alias="GTM_REDISPATCH_SECONDS")
    sweep_seconds: float = Field(1, gt=0, validation_alias="GTM_SWEEP_SECONDS")

    @model_validator(mode="after")
    def _heartbeat_fits_lease(self) -> "OperationsSettings":
        if self.heartbeat_seconds * 2 > self.lease_seconds:
            raise ValueError("GTM_HEARTBEAT_SECONDS must be at most half of GTM_LEASE_SECONDS")
        return self

    @property
    def database_url(self) -> str:
        """PostgreSQL where GTM_OPERATIONS_URL names it, else SQLite in the data folder."""
        if self.url is not None:
            return self.url.get_secret_value()
        return f"sqlite:///{self.data_dir / 'operations.sqlite3'}"


class WarehouseSettings(EnvSettings):
    """Snowflake in production, DuckDB embedded on one machine."""

    kind: Literal["duckdb", "snowflake"] = Field("duckdb", validation_alias="GTM_WAREHOUSE")
    data_dir: Path = Field(Path("var"), validation_alias="GTM_DATA_DIR")
    lock_timeout_seconds: float = Field(900, gt=0, validation_alias="GTM_WAREHOUSE_LOCK_TIMEOUT_SECONDS")
    duckdb_memory_limit: str = Field(
        "256MB", pattern=r"^\d+(\.\d+)?\s*([KMGT]i?B)$", validation_alias="GTM_DUCKDB_WORKER_MEMORY_LIMIT"
    )
    """DuckDB's part of a process that reads or lands, builds apart; the rest spills beside the file."""
    duckdb_threads: int = Field(2, ge=1, validation_alias="GTM_DUCKDB_WORKER_THREADS")
    """Each needs about 100 MB of the limit."""
    snowflake_account: str = Field("", validation_alias="SNOWFLAKE_ACCOUNT")
    snowflake_user: str = Field("", validation_alias="SNOWFLAKE_USER")
    snowflake_password: SecretStr = Field(SecretStr(""), validation_alias="SNOWFLAKE_PASSWORD")
    snowflake_warehouse: str = Field("", validation_alias="SNOWFLAKE_WAREHOUSE")
    snowflake_database: str = Field("", validation_alias="SNOWFLAKE_DATABASE")
    snowflake_schema: str = Field("analytics", validation_alias="SNOWFLAKE_SCHEMA")
    snowflake_role: str = Field("", validation_alias="SNOWFLAKE_ROLE")

    @property
    def core_path(self) -> Path:
        """DuckDB file with RAW and ANALYTICS."""
        return self.data_dir / "warehouse" / "core.duckdb"

    @property
    def outbound_path(self) -> Path:
        """DuckDB file with REVERSE_ETL_OUTBOUND: reading leads never waits for a build."""
        return self.data_dir / "warehouse" / "outbound.duckdb"

    def require_snowflake(self) -> None:
        """Raises TerminalError naming every SNOWFLAKE_ key that is missing."""
        needed = ("account", "user", "password", "warehouse", "database", "role")
        missing = [f"SNOWFLAKE_{key.upper()}" for key in needed if not _text(getattr(self, f"snowflake_{key}"))]
        if missing:
            raise TerminalError(
                f"GTM_WAREHOUSE=snowflake needs {', '.join(missing)}; set them in .env (see .env.example).",
                code="warehouse-not-configured",
                title="Snowflake settings are missing",
            )


_SHOWN_PROBLEMS: Final = ("int_", "float_", "bool_", "literal_", "greater_", "less_")


def explain_wrong_settings(error: ValidationError) -> list[str]:
    """One `GTM_INGEST_PORT=abc: <what it should be>` per setting, for people.

    The value is left out where it is none of a number, a flag or a choice: it might be a secret.
    """
    lines = []
    for one in error.errors(include_url=False, include_context=False):
        name = ".".join(str(part) for part in one["loc"])
        value = f"={one['input']}" if one["type"].startswith(_SHOWN_PROBLEMS) else ""
        message = one["msg"].removeprefix("Value error, ")
        lines.append(f"{name}{value}: {message}" if name else message)
    return lines


def _text(value: str | SecretStr) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


@lru_cache
def app_settings() -> AppSettings:
    """Read once a process; tests clear the cache."""
    return AppSettings()


@lru_cache
def queue_settings() -> QueueSettings:
    """Read once a process; tests clear the cache."""
    return QueueSettings()


@lru_cache
def operations_settings() -> OperationsSettings:
    """Read once a process; tests clear the cache."""
    return OperationsSettings()


@lru_cache
def warehouse_settings() -> WarehouseSettings:
    """Read once a process; tests clear the cache."""
    return WarehouseSettings()
