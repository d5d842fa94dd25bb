"""Settings that two services read, from the environment or `.env`. `.env.example` explains each one for operators.

A service's own settings live in its `settings.py` and inherit `EnvSettings` too, so that all of them are read alike.
"""

from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from shared.env_settings import EnvSettings as EnvSettings
from shared.env_settings import explain_wrong_settings as explain_wrong_settings  # noqa: F401  # read from here
from shared.errors import TerminalError


class AppSettings(EnvSettings):
    """How the processes run, and who may call them."""

    env: Literal["local", "production"] = Field("production", validation_alias="GTM_ENV")
    data_dir: Path = Field(Path("var"), validation_alias="GTM_DATA_DIR")
    api_docs: Literal["open", "keyed", "off"] = Field("keyed", validation_alias="GTM_API_DOCS")
    """Who may read /docs and /openapi.json: everybody, who may read the rest, nobody."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", validation_alias="GTM_LOG_LEVEL")
    log_format: Literal["json", "console"] = Field("json", validation_alias="GTM_LOG_FORMAT")
    rate_limit_per_minute: int = Field(60_000, ge=0, validation_alias="GTM_RATE_LIMIT_PER_MINUTE")
    """Of each caller, in each API process; 0: none."""


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
    stall_seconds: float = Field(900, gt=0, validation_alias="GTM_STALL_SECONDS")
    """A running job that has not got on for so long is said to be stalled."""
    queue_limit: int = Field(10_000, ge=1, validation_alias="GTM_QUEUE_LIMIT")
    """Jobs that may wait in a queue before starts are refused."""
    event_limit: int = Field(100_000, ge=1, validation_alias="GTM_EVENT_LIMIT")
    """Accounts, or records, that may wait to be read again before events are refused."""

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


_IDENTIFIER: Final = r"^([A-Za-z_][A-Za-z0-9_$]*)?$"  # unquoted, as all names of ours are
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost"})


class WarehouseSettings(EnvSettings):
    """Snowflake in production, DuckDB embedded on one machine."""

    kind: Literal["duckdb", "snowflake"] = Field("duckdb", validation_alias="GTM_WAREHOUSE")
    env: Literal["local", "production"] = Field("production", validation_alias="GTM_ENV")
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
    snowflake_warehouse: str = Field("", pattern=_IDENTIFIER, validation_alias="SNOWFLAKE_WAREHOUSE")
    snowflake_database: str = Field("", pattern=_IDENTIFIER, validation_alias="SNOWFLAKE_DATABASE")
    snowflake_schema: str = Field("analytics", pattern=_IDENTIFIER, validation_alias="SNOWFLAKE_SCHEMA")
    snowflake_role: str = Field("", pattern=_IDENTIFIER, validation_alias="SNOWFLAKE_ROLE")
    snowflake_auth: Literal["key-pair", "oauth", "password"] | None = Field(None, validation_alias="GTM_SNOWFLAKE_AUTH")
    """None: by key pair where a key is set, else by password. Ask `snowflake_login`."""
    snowflake_allow_password: bool = Field(False, validation_alias="GTM_SNOWFLAKE_ALLOW_PASSWORD")
    """A password alone is refused without it: Snowflake ends such logins of services in 2026."""
    snowflake_private_key_file: Path | None = Field(None, validation_alias="GTM_SNOWFLAKE_PRIVATE_KEY_FILE")
    snowflake_private_key: SecretStr | None = Field(None, validation_alias="GTM_SNOWFLAKE_PRIVATE_KEY")
    """PEM, or base64 of DER."""
    snowflake_private_key_passphrase: SecretStr | None = Field(
        None, validation_alias="GTM_SNOWFLAKE_PRIVATE_KEY_PASSPHRASE"
    )
    snowflake_oauth_token: SecretStr | None = Field(None, validation_alias="GTM_SNOWFLAKE_OAUTH_TOKEN")
    snowflake_oauth_token_file: Path | None = Field(None, validation_alias="GTM_SNOWFLAKE_OAUTH_TOKEN_FILE")
    """Read at each login, so that whoever renews the token need not restart us."""
    snowflake_login_timeout_seconds: int = Field(
        30, ge=1, le=600, validation_alias="GTM_SNOWFLAKE_LOGIN_TIMEOUT_SECONDS"
    )
    snowflake_network_timeout_seconds: int = Field(
        120, ge=1, le=3600, validation_alias="GTM_SNOWFLAKE_NETWORK_TIMEOUT_SECONDS"
    )
    """How long the driver sends a request again that got no answer."""
    snowflake_statement_timeout_seconds: int = Field(
        3600, ge=1, le=604_800, validation_alias="GTM_SNOWFLAKE_STATEMENT_TIMEOUT_SECONDS"
    )
    snowflake_pool_size: int = Field(5, ge=1, le=100, validation_alias="GTM_SNOWFLAKE_POOL_SIZE")
    """Sessions that a process keeps; twice as many may be open at once."""
    snowflake_host: str | None = Field(None, validation_alias="GTM_SNOWFLAKE_HOST")
    """For tests and the demo alone, like the next two: where Snowflake's stand-in listens."""
    snowflake_port: int | None = Field(None, ge=1, le=65_535, validation_alias="GTM_SNOWFLAKE_PORT")
    snowflake_protocol: Literal["https", "http"] = Field("https", validation_alias="GTM_SNOWFLAKE_PROTOCOL")

    budget_statements: int = Field(0, ge=0, validation_alias="GTM_BUDGET_STATEMENTS")
    """That a job may send before its result warns; 0: any number. Like the next one, it never fails a job."""
    budget_seconds: float = Field(0, ge=0, validation_alias="GTM_BUDGET_SECONDS")

    @field_validator("snowflake_schema")
    @classmethod
    def _schema_is_analytics(cls, schema: str) -> str:
        """Every model has its schema's name, and scoring reads that: another one would move a part of it."""
        if schema.lower() != "analytics":
            raise ValueError(
                "the marts are in the schema analytics, whatever the account: leave it out, and give a second "
                "installation a database of its own (SNOWFLAKE_DATABASE)"
            )
        return schema

    @model_validator(mode="after")
    def _stand_in_is_local(self) -> "WarehouseSettings":
        """Elsewhere a setting left over from a demo would send credentials and rows to whoever listens there."""
        if self.snowflake_host is None and self.snowflake_port is None and self.snowflake_protocol == "https":
            return self
        if self.env != "local":
            raise ValueError(
                "GTM_SNOWFLAKE_HOST, _PORT and _PROTOCOL are for tests and the demo (GTM_ENV=local); remove them: "
                "SNOWFLAKE_ACCOUNT alone says where Snowflake is"
            )
        if self.snowflake_host not in _LOOPBACK:
            raise ValueError(f"GTM_SNOWFLAKE_HOST must be this machine, {' or '.join(sorted(_LOOPBACK))}")
        return self

    @model_validator(mode="after")
    def _one_place_a_secret(self) -> "WarehouseSettings":
        for name in ("private_key", "oauth_token"):
            if getattr(self, f"snowflake_{name}") and getattr(self, f"snowflake_{name}_file"):
                variable = f"GTM_SNOWFLAKE_{name.upper()}"
                raise ValueError(f"set {variable} or {variable}_FILE, not both")
        return self

    @property
    def core_path(self) -> Path:
        """DuckDB file with RAW and ANALYTICS."""
        return self.data_dir / "warehouse" / "core.duckdb"

    @property
    def outbound_path(self) -> Path:
        """DuckDB file with REVERSE_ETL_OUTBOUND: reading leads never waits for a build."""
        return self.data_dir / "warehouse" / "outbound.duckdb"

    @property
    def snowflake_login(self) -> Literal["key-pair", "oauth", "password"]:
        """How to log in: as GTM_SNOWFLAKE_AUTH says, else by what is set, a key before a password."""
        if self.snowflake_auth is not None:
            return self.snowflake_auth
        has_key = self.snowflake_private_key_file is not None or self.snowflake_private_key is not None
        return "password" if self.snowflake_password.get_secret_value() and not has_key else "key-pair"

    def require_snowflake(self) -> None:
        """Raises TerminalError: `warehouse-not-configured`, naming every setting of Snowflake that is missing;
        `warehouse-password-refused`.
        """
        needed = ("account", "user", "warehouse", "database", "role")
        missing = [f"SNOWFLAKE_{key.upper()}" for key in needed if not getattr(self, f"snowflake_{key}")]
        missing += self._missing_credentials()
        if missing:
            raise TerminalError(
                f"GTM_WAREHOUSE=snowflake needs {', '.join(missing)}; set them in .env (see .env.example).",
                code="warehouse-not-configured",
                title="Snowflake settings are missing",
            )
        # The stand-in on this machine (snowflake_host) is none of Snowflake's.
        if self.snowflake_login == "password" and not self.snowflake_allow_password and self.snowflake_host is None:
            raise TerminalError(
                "SNOWFLAKE_PASSWORD alone is refused: Snowflake ends logins of services by password in 2026. Log in by "
                "key pair (GTM_SNOWFLAKE_PRIVATE_KEY_FILE, docs/snowflake.md), or set "
                "GTM_SNOWFLAKE_ALLOW_PASSWORD=true for as long as your account still takes it.",
                code="warehouse-password-refused",
                title="A password alone is refused",
            )

    def _missing_credentials(self) -> list[str]:
        login = self.snowflake_login
        if login == "password":
            return [] if self.snowflake_password.get_secret_value() else ["SNOWFLAKE_PASSWORD"]
        if login == "oauth":
            has_token = self.snowflake_oauth_token is not None or self.snowflake_oauth_token_file is not None
            return [] if has_token else ["GTM_SNOWFLAKE_OAUTH_TOKEN_FILE (or GTM_SNOWFLAKE_OAUTH_TOKEN)"]
        if self.snowflake_private_key_file is not None or self.snowflake_private_key is not None:
            return []
        return ["GTM_SNOWFLAKE_PRIVATE_KEY_FILE (or GTM_SNOWFLAKE_PRIVATE_KEY, or SNOWFLAKE_PASSWORD)"]


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
