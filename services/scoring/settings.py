"""The scoring service's settings, from the environment or `.env`; `.env.example` explains each one for operators."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, model_validator

from shared.settings import EnvSettings

_PROMPTS = Path(__file__).parent / "prompts"


class ScoringSettings(EnvSettings):
    """How leads are scored, and where the model is. Times are seconds."""

    ollama_host: str = Field("http://127.0.0.1:11434", validation_alias="OLLAMA_HOST", min_length=1)
    ollama_model: str = Field("llama3.1", validation_alias="OLLAMA_MODEL", min_length=1)
    num_parallel: int = Field(1, ge=1, le=64, validation_alias="OLLAMA_NUM_PARALLEL")
    temperature: float = Field(0.3, ge=0, le=2, validation_alias="GTM_MODEL_TEMPERATURE")
    num_ctx: int = Field(4096, ge=1024, validation_alias="GTM_MODEL_NUM_CTX")
    num_predict: int = Field(320, ge=64, validation_alias="GTM_MODEL_NUM_PREDICT")
    answer_timeout_seconds: float = Field(180, gt=0, validation_alias="GTM_MODEL_ANSWER_TIMEOUT_SECONDS")
    load_timeout_seconds: float = Field(600, gt=0, validation_alias="GTM_MODEL_LOAD_TIMEOUT_SECONDS")
    tries: int = Field(4, ge=1, le=10, validation_alias="GTM_MODEL_TRIES")
    backoff_seconds: float = Field(0.5, ge=0, validation_alias="GTM_MODEL_BACKOFF_SECONDS")
    breaker_accounts: int = Field(3, ge=1, validation_alias="GTM_MODEL_BREAKER_ACCOUNTS")
    score_bound: int = Field(10, ge=0, le=100, validation_alias="GTM_SCORE_BOUND")
    tier_a: int = Field(75, ge=0, le=100, validation_alias="GTM_TIER_A")
    tier_b: int = Field(55, ge=0, le=100, validation_alias="GTM_TIER_B")
    tier_c: int = Field(35, ge=0, le=100, validation_alias="GTM_TIER_C")
    batch_accounts: int = Field(10, ge=1, le=1000, validation_alias="GTM_SCORE_BATCH_ACCOUNTS")
    batch_seconds: float = Field(2, gt=0, validation_alias="GTM_SCORE_BATCH_SECONDS")
    mart_max_age_hours: float = Field(48, gt=0, validation_alias="GTM_MART_MAX_AGE_HOURS")
    prompt_path: Path = Field(_PROMPTS / "lead_score.yml", validation_alias="GTM_PROMPT_PATH")
    policy_path: Path = Field(_PROMPTS / "pitch_policy.yml", validation_alias="GTM_PITCH_POLICY_PATH")
    refresh_delay_seconds: float = Field(5, ge=0, le=3600, validation_alias="GTM_REFRESH_DELAY_SECONDS")
    refresh_accounts: int = Field(100, ge=1, validation_alias="GTM_REFRESH_ACCOUNTS")
    webhook_secret: SecretStr | None = Field(None, validation_alias="GTM_WEBHOOK_SECRET")

    @model_validator(mode="after")
    def _tiers_fall(self) -> "ScoringSettings":
        if not self.tier_a > self.tier_b > self.tier_c:
            raise ValueError("GTM_TIER_A must be above GTM_TIER_B, and that above GTM_TIER_C")
        return self

    @property
    def tiers(self) -> dict[str, int]:
        """The least score of each tier; below C it is D."""
        return {"A": self.tier_a, "B": self.tier_b, "C": self.tier_c}

    @property
    def rules(self) -> dict[str, Any]:
        """What decides a row beside the account, the prompt and the model."""
        return {
            "bound": self.score_bound,
            "tiers": self.tiers,
            "temperature": self.temperature,
            "num_ctx": self.num_ctx,
            "num_predict": self.num_predict,
        }


@lru_cache
def scoring_settings() -> ScoringSettings:
    """Read once a process; tests clear the cache."""
    return ScoringSettings()
