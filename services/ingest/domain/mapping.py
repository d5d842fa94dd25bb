"""How files become RAW tables: the model of `config/sources/*.yml`."""

from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from services.ingest.domain.headers import DELIMITERS, HeaderMatch, match_header
from services.ingest.domain.raw_schema import RAW_TABLE_NAMES, source_columns


class FileColumn(BaseModel):
    """A column of the file. An optional one may be missing from it: NULL then."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str = Field(min_length=1)
    optional: bool = False
    aliases: tuple[str, ...] = Field((), description="Other names that the column has or had in exports")
    decimal: Literal["point", "comma"] = Field("point", description="comma: 12.500,00 is twelve thousand five hundred")


def _from_name(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


def _from_delimiter_name(value: Any) -> Any:
    return DELIMITERS.get(value, value) if isinstance(value, str) else value


ColumnReference = Annotated[FileColumn, BeforeValidator(_from_name)]
Delimiter = Annotated[Literal[",", ";", "\t", "|"], BeforeValidator(_from_delimiter_name)]
Encoding = Literal["utf-8", "utf-16", "windows-1252", "latin-1", "detect"]


class TextFormat(BaseModel):
    """How the text files of a mapping are written. What isn't said is seen from the file where that is sure."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    encoding: Encoding | None = Field(
        None, description="A byte-order mark goes before it. detect: UTF-8 where the whole file is, else windows-1252"
    )
    delimiter: Delimiter | None = Field(None, description="comma, semicolon, tab or pipe; default: as the header shows")


class TableMapping(TextFormat):
    """What one RAW table takes from which files. File columns that `columns` doesn't name are kept in `extra`."""

    files: tuple[str, ...] = Field(min_length=1, description="File names without .csv and so on; * and ? match")
    sheet: str | None = Field(None, min_length=1, description="Sheet of a workbook; needed where it has several")
    key: tuple[str, ...] = Field(min_length=1, description="File columns that name the record")
    columns: dict[str, ColumnReference] = Field(min_length=1, description="RAW column -> file column")
    updated_at: ColumnReference | None = Field(None, description="File column: when the record last changed")
    deleted: ColumnReference | None = Field(None, description="File column: true, t, 1, yes or y mean deleted")

    def takes(self, stem: str) -> bool:
        """Whether a file of this name, without its suffix, is one of the table's."""
        return any(fnmatchcase(stem, pattern) for pattern in self.files)

    def match(self, present: Sequence[str]) -> HeaderMatch:
        """Which of the file's columns is which of the mapping's."""
        wanted: dict[str, list[str]] = {name: [] for name in self.key}
        for one in self._references():
            wanted.setdefault(one.column, []).extend(one.aliases)
        return match_header(present, wanted)

    def missing_from(self, present: Collection[str]) -> list[str]:
        """Columns, by the mapping's names, that must be there and aren't."""
        needed = [*self.key, *(one.column for one in self._references() if not one.optional)]
        return [name for name in dict.fromkeys(needed) if name not in present]

    def fits(self, header: Sequence[str]) -> bool:
        """Whether a file with this header has every column that must be there."""
        renamed = self.match(header).renamed
        return not self.missing_from({renamed.get(name, name) for name in header})

    def comma_columns(self) -> frozenset[str]:
        """File columns whose numbers have a decimal comma."""
        return frozenset(one.column for one in self.columns.values() if one.decimal == "comma")

    def _references(self) -> list[FileColumn]:
        return [one for one in (*self.columns.values(), self.updated_at, self.deleted) if one is not None]


class SourceMapping(TextFormat):
    """One file of `config/sources/`. Its encoding and delimiter hold for the tables that name none."""

    description: str = Field(min_length=1)
    tables: dict[str, TableMapping] = Field(min_length=1)

    @field_validator("tables")
    @classmethod
    def _known_tables(cls, tables: dict[str, TableMapping]) -> dict[str, TableMapping]:
        for table, mapping in tables.items():
            if table not in RAW_TABLE_NAMES:
                raise ValueError(f"there is no RAW table '{table}'; known: {', '.join(RAW_TABLE_NAMES)}")
            unknown = [name for name in mapping.columns if name not in source_columns(table)]
            if unknown:
                raise ValueError(
                    f"raw.{table} has no column {', '.join(unknown)}; it has {', '.join(source_columns(table))}"
                )
        return tables

    @model_validator(mode="after")
    def _hand_down_format(self) -> Self:
        for table, mapping in self.tables.items():
            given = {"encoding": mapping.encoding or self.encoding, "delimiter": mapping.delimiter or self.delimiter}
            self.tables[table] = mapping.model_copy(update=given)
        return self
