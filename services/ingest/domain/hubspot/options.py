"""What a sync of HubSpot may be asked for."""

from datetime import datetime
from typing import Annotated, Final, Literal, TypeAlias, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

CrmObjectName: TypeAlias = Literal["companies", "contacts", "deals"]
ObjectName: TypeAlias = Literal[
    "companies", "contacts", "deals", "owners", "pipelines", "web_events", "form_submissions", "email_events"
]
ALL_OBJECTS: Final[tuple[ObjectName, ...]] = get_args(ObjectName)
RecordId = Annotated[str, Field(pattern=r"^\d{1,20}$")]


class HubSpotOptions(BaseModel):
    """`since` and `until` read what changed in a window once more; they leave the stored cursors where they are.

    `records` reads only these and their associations. `properties` keeps only these of an object's properties, beside
    those that a RAW column takes; without it all are kept.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    objects: tuple[ObjectName, ...] = Field(ALL_OBJECTS, min_length=1)
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    records: dict[CrmObjectName, list[RecordId]] | None = Field(None, min_length=1)
    properties: dict[CrmObjectName, tuple[str, ...]] | None = None

    @model_validator(mode="after")
    def _window(self) -> "HubSpotOptions":
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError("since must be before until")
        if self.records is not None and self.window is not None:
            raise ValueError("records are read as they are now: leave out since and until")
        return self

    @property
    def window(self) -> tuple[datetime | None, datetime | None] | None:
        """From and to, or None for what is new since the stored cursors."""
        return None if self.since is None and self.until is None else (self.since, self.until)
