"""Finding the columns that a mapping names in a file whose header has drifted: other case, spaces, names or order."""

import csv
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from services.ingest.domain.csv_records import unwrap

DELIMITERS: Final[Mapping[str, str]] = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}


@dataclass(frozen=True)
class HeaderMatch:
    """`renamed`: file column -> the mapping's name for it, where they differ. `ambiguous`: name -> file columns."""

    renamed: Mapping[str, str]
    ambiguous: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class CsvHeader:
    """How the first record was read. Wrapped: the whole row stood in one pair of quotes."""

    fields: list[str]
    delimiter: str
    is_wrapped: bool = False


class AmbiguousDelimiter(ValueError):
    """The header can be split in several ways, and the mapping's columns are there in more than one of them."""


def match_header(present: Sequence[str], wanted: Mapping[str, Sequence[str]]) -> HeaderMatch:
    """Which file column is which of the `wanted` names (name -> aliases).

    The name itself wins, then an alias to the letter, then either of them but for case, spaces, `_` and `-`. A file
    column that is one wanted name to the letter is never taken for another one.
    """
    taken = {name for name in present if name in wanted}
    loose: dict[str, list[str]] = {}
    for name in present:
        if name not in taken:
            loose.setdefault(_simplify(name), []).append(name)
    renamed: dict[str, str] = {}
    ambiguous: dict[str, tuple[str, ...]] = {}
    for name, aliases in wanted.items():
        if name in taken:
            continue
        found = [alias for alias in aliases if alias in present and alias not in taken][:1]
        if not found:
            keys = dict.fromkeys(_simplify(one) for one in (name, *aliases))
            found = [one for key in keys for one in loose.get(key, []) if one not in renamed]
        if len(found) == 1:
            renamed[found[0]] = name
            taken.add(found[0])
        elif found:
            ambiguous[name] = tuple(found)
    return HeaderMatch(renamed, ambiguous)


def _simplify(name: str) -> str:
    return re.sub(r"[\s_\-]+", "", unicodedata.normalize("NFKC", name).casefold())


def read_header(text: str, delimiter: str | None, fits: Callable[[Sequence[str]], bool]) -> CsvHeader:
    """The header at the start of `text`. Without a `delimiter` it is the one of the four that is unambiguous.

    `fits` says whether a header has the columns that the mapping needs.

    Raises:
        AmbiguousDelimiter: see there.
        csv.Error: the header's quotes are wrong, whatever separates its columns.
    """
    candidates = [delimiter] if delimiter else list(DELIMITERS.values())
    headers = _split_by_each(text, candidates)
    several = [header for header in headers if len(header.fields) > 1]
    if not several:
        wrapped = [
            CsvHeader(fields, one, is_wrapped=True)
            for one in candidates
            if (fields := unwrap(headers[0].fields[0], one)) and len(fields) > 1 and fits(fields)
        ]
        return _choose(wrapped) if wrapped else headers[0]
    if len(several) == 1:
        return several[0]
    fitting = [header for header in several if fits(header.fields)]
    # None has what the mapping needs: the widest says best what the file has instead.
    return _choose(fitting) if fitting else max(several, key=lambda header: len(header.fields))


def find_unnamed(header: Sequence[str]) -> frozenset[int]:
    """Places of the columns without a name, where there are several, as Excel writes them behind a table.

    A single one keeps its empty name: so exports write the row numbers that they put before all columns.
    """
    blank = frozenset(place for place, title in enumerate(header) if not title.strip())
    return blank if len(blank) > 1 else frozenset()


def _choose(headers: Sequence[CsvHeader]) -> CsvHeader:
    if len(headers) > 1:
        raise AmbiguousDelimiter(" and ".join(name_delimiter(header.delimiter) for header in headers))
    return headers[0]


def name_delimiter(delimiter: str) -> str:
    """`semicolon` for `;`."""
    return next(name for name, character in DELIMITERS.items() if character == delimiter)


def _split_by_each(text: str, delimiters: Sequence[str]) -> list[CsvHeader]:
    lines = [f"{line}\n" for line in text.split("\n")]
    found: list[CsvHeader] = []
    error: csv.Error | None = None
    for delimiter in delimiters:
        try:
            fields = next(fields for fields in csv.reader(lines, delimiter=delimiter, strict=True) if fields)
            found.append(CsvHeader(fields, delimiter))
        except csv.Error as caught:
            error = error or caught
    if not found and error is not None:
        raise error
    return found
