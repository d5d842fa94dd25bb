"""What the generator makes of a table: columns of text, and who is deleted."""

from dataclasses import dataclass

import numpy as np

from services.ingest.domain.mock.arrays import Flags, Texts


@dataclass(frozen=True)
class Rows:
    """Arrays of one length."""

    columns: dict[str, Texts]
    deleted: Flags


def kept_rows(columns: dict[str, Texts]) -> Rows:
    """Rows of which none is deleted."""
    return Rows(columns, np.zeros(len(next(iter(columns.values()))), dtype=bool))
