"""Where the services are and which key opens them.

A GTM_*_URL setting wins; else the local stack's `endpoints.json`; else the ports that the local stack takes by default.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator

from cli.errors import BadSetting, to_bad_setting, url_setting
from shared.access.keys import parse_key
from shared.access.retired import find_retired_setting
from shared.settings import EnvSettings

SERVICES: Final = ("ingest", "transform", "scoring")
_DEFAULT_URLS: Final = {
    "ingest": "http://127.0.0.1:8101",
    "transform": "http://127.0.0.1:8102",
    "scoring": "http://127.0.0.1:8103",
}


class CliSettings(EnvSettings):
    """What the command line reads from the environment or `.env`."""

    ingest_url: str | None = Field(None, validation_alias="GTM_INGEST_URL")
    transform_url: str | None = Field(None, validation_alias="GTM_TRANSFORM_URL")
    scoring_url: str | None = Field(None, validation_alias="GTM_SCORING_URL")
    api_key: SecretStr | None = Field(None, validation_alias="GTM_API_KEY")
    data_dir: Path = Field(Path("var"), validation_alias="GTM_DATA_DIR")

    @field_validator("api_key")
    @classmethod
    def _is_a_key(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and parse_key(key.get_secret_value()) is None:
            raise ValueError("a key as `gtm keys create` printed it is wanted: gtm_, twelve characters, _, forty-three")
        return key

    @property
    def endpoints_path(self) -> Path:
        """Written by the local stack while it runs."""
        return self.data_dir / "local" / "endpoints.json"


@dataclass(frozen=True)
class Endpoint:
    """A service's base URL, and where it was learnt (for `gtm status` and error messages)."""

    url: str
    source: str


def read_settings() -> CliSettings:
    """Raises BadSetting naming each setting that is wrong, and GTM_API_TOKEN where no key has taken its place."""
    try:
        settings = CliSettings()
    except ValidationError as error:
        raise to_bad_setting(error) from None
    if settings.api_key is None and (mend := find_retired_setting()):
        raise BadSetting(mend)
    return settings


class DemoSettings(EnvSettings):
    """Which warehouse `make demo` runs on."""

    local_warehouse: Literal["duckdb", "snowflake-emulator"] = Field("duckdb", validation_alias="GTM_LOCAL_WAREHOUSE")


def resolve_endpoints(settings: CliSettings) -> dict[str, Endpoint]:
    """Each service's address.

    Raises:
        BadSetting: a URL without http:// or https://, or an endpoints.json that can't be read.
    """
    local = read_local_endpoints(settings)
    endpoints = {}
    for service in SERVICES:
        configured = getattr(settings, f"{service}_url")
        if configured:
            endpoint = Endpoint(configured, url_setting(service))
        elif service in local:
            endpoint = Endpoint(str(local[service]), str(settings.endpoints_path))
        else:
            endpoint = Endpoint(_DEFAULT_URLS[service], "default")
        endpoints[service] = _checked(service, endpoint)
    return endpoints


def read_local_endpoints(settings: CliSettings) -> dict[str, Any]:
    """What the local stack says about itself; empty where none runs."""
    try:
        content = json.loads(settings.endpoints_path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise BadSetting(
            f"{settings.endpoints_path} can't be read ({error}). Run `make down`, then `make up`."
        ) from None
    if not isinstance(content, dict):
        raise BadSetting(f"{settings.endpoints_path} holds no JSON object. Run `make down`, then `make up`.")
    return content


def _checked(service: str, endpoint: Endpoint) -> Endpoint:
    if not endpoint.url.startswith(("http://", "https://")):
        raise BadSetting(
            f"{endpoint.source} says {endpoint.url!r} for {service}; it needs http:// or https://, "
            f"such as {_DEFAULT_URLS[service]}."
        )
    return Endpoint(endpoint.url.rstrip("/"), endpoint.source)
