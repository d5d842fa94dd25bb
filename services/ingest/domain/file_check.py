"""What a sync of a folder would land and reject: the answer of a check, which lands nothing."""

from pydantic import BaseModel, Field


class CheckedReject(BaseModel):
    """A row that would go to `raw.rejects`. Its text is left out: it may hold personal data."""

    table: str
    file: str
    line: int
    reason: str


class CheckedFile(BaseModel):
    """One file for one table. `rows` would land, and `rejected` would not: together all that it holds."""

    file: str
    rows: int = 0
    rejected: int = 0
    without_key: int = Field(0, description="Rows that name no record: they land, and end in quarantine")
    has_landed: bool = Field(False, description="An earlier sync landed it as it is: an incremental one skips it")
    missing_columns: list[str] = Field([], description="That the mapping needs and the file lacks: the sync would fail")
    error: str | None = Field(None, description="Why the sync would fail at this file")
    notes: list[str] = Field([], description="What was seen or repaired: encoding, delimiter, drifted columns")


class CheckedTable(BaseModel):
    """One RAW table and the files that it takes."""

    table: str
    files: list[CheckedFile]


class FilesCheck(BaseModel):
    """All is well when each mapped file can be read and no row of it would be rejected."""

    is_well: bool
    mapping: str
    path: str
    rows: int
    rejected: int
    tables: list[CheckedTable]
    rejects: list[CheckedReject] = Field(description="The first 1,000, in reading order")
    missing_tables: list[str] = Field(description="Tables of the mapping without a file")
    unmapped_files: list[str] = Field(description="Files that no table takes")
    broken_files: dict[str, str] = Field(
        description="Archives that can't be opened, and why: the sync would be refused"
    )
