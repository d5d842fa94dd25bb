"""What a caller may ask of the generator."""

from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class MockOptions(BaseModel):
    """The same options and `as_of` give the same rows on every machine and for every batch size."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    accounts: int = Field(500, ge=1, le=1_000_000, description="Companies in the vendor's market")
    visits: int = Field(20_000, ge=0, le=100_000_000, description="Page views of the vendor's web site")
    seed: int = Field(42, ge=0, le=2**32 - 1)
    dirt: float = Field(0.05, ge=0, le=1, description="Share of rows with one defect each; 0 is a clean CRM")
    as_of: date | None = Field(
        None, description="The day the data ends, exclusive, UTC. Default: the day of the first sync, remembered"
    )
    currencies: tuple[Annotated[str, Field(pattern=r"^[A-Z]{3}$")], ...] = Field(
        ("USD",), min_length=1, description="The first is what nearly all pay in; one customer in ten uses another"
    )
    history_days: int = Field(365, ge=30, le=3650, description="Days before `as_of` in which things happen")
