"""What migrations alone read."""

from pydantic import Field, SecretStr

from shared.settings import EnvSettings


class MigrationSettings(EnvSettings):
    """Migrations log in by GTM_OPERATIONS_URL as the tables' owner."""

    service_url: SecretStr | None = Field(None, validation_alias="GTM_OPERATIONS_SERVICE_URL")
    """What the services log in with: its role is made and granted. None: they log in as the owner, too."""
