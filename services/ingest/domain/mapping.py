"""How files become RAW tables: the model of `config/sources/*.yml`, and its application to a batch of a file."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import pyarrow as pa
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from services.ingest.domain.batches import build_batch, empty_to_null, to_flags, to_json_objects
from services.ingest.domain.raw_schema import RAW_TABLE_NAMES, source_columns
from services.ingest.domain.sources import Reject, SourceBatch


class FileColumn(BaseModel):
    """A column of the file. An optional one may be missing from it: NULL then."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str = Field(min_length=1)
    optional: bool = False


def _from_name(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


ColumnReference = Annotated[FileColumn, BeforeValidator(_from_name)]


class TableMapping(BaseModel):
    """What one RAW table takes from which files. File columns that `columns` doesn't name are kept in `extra`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    files: tuple[str, ...] = Field(min_length=1, description="File names without .csv, .jsonl or .parquet")
    key: tuple[str, ...] = Field(min_length=1, description="File columns that name the record")
    columns: dict[str, ColumnReference] = Field(min_length=1, description="RAW column -> file column")
    updated_at: ColumnReference | None = Field(None, description="File column: when the record last changed")
    deleted: ColumnReference | None = Field(None, description="File column: true, t, 1, yes or y mean deleted")

    def missing_from(self, present: Collection[str]) -> list[str]:
        """File columns that must be there and aren't."""
        references = [*self.columns.values(), self.updated_at, self.deleted]
        needed = [*self.key, *(one.column for one in references if one is not None and not one.optional)]
        return [name for name in dict.fromkeys(needed) if name not in present]


class SourceMapping(BaseModel):
    """One file of `config/sources/`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

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


@dataclass(frozen=True)
class FileBatch:
    """A piece of a file: text columns as they came, and the rows that could not be split."""

    rows: int
    columns: Mapping[str, pa.Array]
    rejects: tuple[Reject, ...] = ()


def to_source_batch(table: str, mapping: TableMapping, batch: FileBatch) -> SourceBatch:
    """The batch as RAW takes it. Empty text is NULL; nothing else is changed.

    The columns that only say when a record changed or that it is deleted stay in `extra` as well, since their text may
    be unreadable as a time or a flag.
    """
    present = {name: empty_to_null(column) for name, column in batch.columns.items()}
    nothing = pa.nulls(batch.rows, pa.string())
    landed = {raw: present.get(one.column, nothing) for raw, one in mapping.columns.items()}
    mapped = {one.column for one in mapping.columns.values()}
    updated_at = present.get(mapping.updated_at.column) if mapping.updated_at else None
    deleted = present.get(mapping.deleted.column) if mapping.deleted else None
    rows = build_batch(
        table,
        landed,
        key=[present.get(name, nothing) for name in mapping.key],
        updated_at=updated_at,
        is_deleted=None if deleted is None else to_flags(deleted),
        extra=to_json_objects({name: column for name, column in present.items() if name not in mapped}),
    )
    return SourceBatch(table, rows, batch.rejects)
