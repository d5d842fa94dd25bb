"""Settings of the one-machine stack: where it listens and what it may use. Nothing in production reads them."""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from shared.settings import EnvSettings

LOCAL_MODEL_NAME = "smollm2:135m"


class LocalSettings(EnvSettings):
    """Ports are wishes: where one is taken the stack picks a free one and says so."""

    data_dir: Path = Field(Path("var"), validation_alias="GTM_DATA_DIR")
    host: str = Field("127.0.0.1", validation_alias="GTM_LOCAL_HOST")
    ingest_port: int = Field(8101, ge=1, le=65535, validation_alias="GTM_INGEST_PORT")
    transform_port: int = Field(8102, ge=1, le=65535, validation_alias="GTM_TRANSFORM_PORT")
    scoring_port: int = Field(8103, ge=1, le=65535, validation_alias="GTM_SCORING_PORT")
    redis_port: int = Field(6390, ge=1, le=65535, validation_alias="GTM_REDIS_PORT")
    model_port: int = Field(11435, ge=1, le=65535, validation_alias="GTM_MODEL_PORT")
    warehouse: Literal["duckdb", "snowflake-emulator"] = Field("duckdb", validation_alias="GTM_LOCAL_WAREHOUSE")
    """`snowflake-emulator`: a process that speaks Snowflake's protocol, of the tests' own; it needs their packages."""
    start_timeout_seconds: float = Field(90, gt=0, validation_alias="GTM_START_TIMEOUT_SECONDS")

    # Set by the user, each of these replaces a process of the stack.
    redis_url: SecretStr | None = Field(None, validation_alias="REDIS_URL")
    ollama_host: str = Field("http://127.0.0.1:11434", validation_alias="OLLAMA_HOST")
    model_api: Literal["ollama", "openai"] = Field("ollama", validation_alias="GTM_MODEL_API")
    ollama_model: str = Field("llama3.1", validation_alias="OLLAMA_MODEL")

    @property
    def local_dir(self) -> Path:
        """All that the stack itself writes: supervisor's files, endpoints.json, logs/."""
        return self.data_dir.resolve() / "local"


class ModelSettings(EnvSettings):
    """How the local model uses the machine. More slots divide the same cores: they add latency, not answers.

    One core is left to the rest of the stack: llama.cpp's threads wait for each other at every step, and where one of
    them has to share its core, all stand still (measured on two busy cores: 2 tokens a second by two threads, 19 by
    one).
    """

    parallel: int = Field(1, ge=1, le=8, validation_alias="OLLAMA_NUM_PARALLEL")
    threads: int = Field(
        default_factory=lambda: min(4, max(1, (os.cpu_count() or 1) - 1)), ge=1, validation_alias="GTM_MODEL_THREADS"
    )
    context_tokens: int = Field(4096, ge=256, le=8192, validation_alias="OLLAMA_CONTEXT_LENGTH")
