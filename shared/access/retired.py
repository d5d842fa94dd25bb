"""GTM_API_TOKEN, which one secret for everybody was: whoever still sets it is told, since it protects nothing now."""

from typing import Final

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from shared.errors import TerminalError
from shared.settings import EnvSettings

_MEND: Final = (
    "GTM_API_TOKEN is not read any more: remove it from the environment and from .env. Each caller has a key of its "
    "own (`gtm keys create --name NAME --scope read --scope run`, or in a container `python -m shared.access create "
    "...`) and sends it as the bearer token; `gtm` takes it from GTM_API_KEY."
)


class _Retired(BaseSettings):
    """Read like every setting, and no setting: so no EnvSettings, whose fields `.env.example` explains."""

    model_config = EnvSettings.model_config

    api_token: SecretStr | None = Field(None, validation_alias="GTM_API_TOKEN")


def find_retired_setting() -> str | None:
    """The mend, where GTM_API_TOKEN is set."""
    return _MEND if _Retired().api_token is not None else None


def require_no_retired_setting() -> None:
    """Raises TerminalError `setting-retired`: going on would leave an operator in the belief that the token counts."""
    if mend := find_retired_setting():
        raise TerminalError(mend, code="setting-retired", title="A setting of an earlier release")
