"""The scoring service's settings, from the environment or `.env`; `.env.example` explains each one for operators."""

import re
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from shared.settings import EnvSettings

_PROMPTS = Path(__file__).parent / "prompts"


class ScoringSettings(EnvSettings):
    """How leads are scored, and where the model is. Times are seconds."""

    model_api: Literal["ollama", "openai"] = Field("ollama", validation_alias="GTM_MODEL_API")
    model_api_key: SecretStr | None = Field(None, validation_alias="GTM_MODEL_API_KEY")
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
    patience_seconds: float = Field(120, ge=0, validation_alias="GTM_MODEL_PATIENCE_SECONDS")
    breaker_accounts: int = Field(3, ge=1, validation_alias="GTM_MODEL_BREAKER_ACCOUNTS")
    score_bound: int = Field(10, ge=0, le=100, validation_alias="GTM_SCORE_BOUND")
    tier_by: Literal["score", "capacity"] = Field("score", validation_alias="GTM_TIER_BY")
    tier_a: int = Field(75, ge=0, le=100, validation_alias="GTM_TIER_A")
    tier_b: int = Field(55, ge=0, le=100, validation_alias="GTM_TIER_B")
    tier_c: int = Field(35, ge=0, le=100, validation_alias="GTM_TIER_C")
    tier_a_accounts: int = Field(50, ge=0, validation_alias="GTM_TIER_A_ACCOUNTS")
    tier_b_accounts: int = Field(150, ge=0, validation_alias="GTM_TIER_B_ACCOUNTS")
    tier_c_accounts: int = Field(800, ge=0, validation_alias="GTM_TIER_C_ACCOUNTS")
    batch_accounts: int = Field(500, ge=1, le=1000, validation_alias="GTM_SCORE_BATCH_ACCOUNTS")
    batch_seconds: float = Field(30, gt=0, validation_alias="GTM_SCORE_BATCH_SECONDS")
    mart_max_age_hours: float = Field(48, gt=0, validation_alias="GTM_MART_MAX_AGE_HOURS")
    prompt_path: Path = Field(_PROMPTS / "lead_score.yml", validation_alias="GTM_PROMPT_PATH")
    policy_path: Path = Field(_PROMPTS / "pitch_policy.yml", validation_alias="GTM_PITCH_POLICY_PATH")
    refresh_delay_seconds: float = Field(5, ge=0, le=3600, validation_alias="GTM_REFRESH_DELAY_SECONDS")
    refresh_accounts: int = Field(100, ge=1, validation_alias="GTM_REFRESH_ACCOUNTS")

    @field_validator("model_api_key")
    @classmethod
    def _fits_a_header(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and not re.fullmatch(r"[!-~]+", key.get_secret_value()):
            raise ValueError("a key has no spaces, line ends or letters beyond ASCII")  # an HTTP error would show it
        return key

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
    def tier_accounts(self) -> dict[str, int]:
        """How many leads each tier holds where tiers go by capacity; the rest is D."""
        return {"A": self.tier_a_accounts, "B": self.tier_b_accounts, "C": self.tier_c_accounts}

    @property
    def rules(self) -> dict[str, Any]:
        """What decides an answer beside the account, the prompt and the model. Not the tiers: they follow from stored
        scores, and the model need not be asked again when their limits change. The bound is told apart in each row."""
        return {
            "temperature": self.temperature,
            "num_ctx": self.num_ctx,
            "num_predict": self.num_predict,
        }


class WebhookSettings(EnvSettings):
    """Which senders of webhooks are believed. Each door is shut without its settings; only the API reads them."""

    secret: SecretStr | None = Field(None, validation_alias="GTM_WEBHOOK_SECRET")
    require_key: bool = Field(False, validation_alias="GTM_WEBHOOK_REQUIRE_KEY")
    """Generic events need an API key with the scope `webhook` beside their signature."""
    public_url: str | None = Field(None, pattern=r"^https?://[^\s?#]+$", validation_alias="GTM_PUBLIC_URL")
    """What comes before `/v1` in the addresses that senders were told."""
    hubspot_secret: SecretStr | None = Field(None, validation_alias="GTM_HUBSPOT_WEBHOOK_SECRET")
    hubspot_signatures: Annotated[frozenset[Literal["v1", "v2", "v3"]], NoDecode] = Field(
        frozenset({"v3"}), min_length=1, validation_alias="GTM_HUBSPOT_WEBHOOK_SIGNATURES"
    )
    salesforce_token: SecretStr | None = Field(None, validation_alias="GTM_SALESFORCE_WEBHOOK_TOKEN")
    salesforce_organization_id: str | None = Field(None, validation_alias="GTM_SALESFORCE_ORGANIZATION_ID")

    @field_validator("hubspot_signatures", mode="before")
    @classmethod
    def _split_signatures(cls, value: object) -> object:
        return frozenset(value.replace(",", " ").split()) if isinstance(value, str) else value

    @classmethod
    def variable(cls, name: str) -> str:
        """The environment variable of a field."""
        return str(cls.model_fields[name].validation_alias)


@lru_cache
def webhook_settings() -> WebhookSettings:
    """Read once a process; tests clear the cache."""
    return WebhookSettings()


@lru_cache
def scoring_settings() -> ScoringSettings:
    """Read once a process; tests clear the cache."""
    return ScoringSettings()
