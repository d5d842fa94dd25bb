"""What the reading of one file has found out about it."""

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class FileReading:
    """Filled while the file is read. Rows: `rows + rejected` is what the file holds; `repaired` are among the rows."""

    table: str
    file: str
    encoding: str | None = None
    """None for formats that have one of their own, such as Parquet."""
    encoding_known_by: str | None = None
    delimiter: str | None = None
    columns: tuple[str, ...] = ()
    """By the mapping's names; of a .jsonl file those that were met so far."""
    renamed: dict[str, str] = field(default_factory=dict)
    """Column of the file -> the mapping's name for it."""
    rows: int = 0
    rejected: int = 0
    held: int = 0
    """Among the rejected: rows that were left out because they fill fields that were not accepted yet."""
    repaired: int = 0
    first_repaired_line: int | None = None
    error_cells: int = 0
    """Of a sheet: those that hold an error such as #N/A instead of a value."""
    first_error_cell: tuple[int, int] = (0, 0)
    """Row and column."""

    def hold_back(self, rows: int) -> None:
        """Rows that were counted do not land."""
        self.rows -= rows
        self.rejected += rows
        self.held += rows

    def notes(self) -> Iterator[str]:
        """What a person should know although the rows landed: nothing is guessed or repaired in silence."""
        if self.encoding not in (None, "UTF-8"):
            yield f"{self.file}: read as {self.encoding}, by {self.encoding_known_by}."
        if self.delimiter not in (None, "comma"):
            yield f"{self.file}: its columns are separated by {self.delimiter}."
        if self.renamed:
            pairs = ", ".join(f"'{name}' as {wanted}" for name, wanted in self.renamed.items())
            yield f"{self.file}: took {pairs}."
        if self.repaired:
            yield (
                f"{self.file}: rows that stood in one pair of quotes each, taken apart: {self.repaired}, first in line "
                f"{self.first_repaired_line}."
            )
        if self.error_cells:
            row, column = self.first_error_cell
            yield (
                f"{self.file}: cells that hold an error such as #N/A have no value and landed empty: "
                f"{self.error_cells}, first in row {row}, column {column}."
            )
