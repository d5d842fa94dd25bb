"""What each part of the product needs on Snowflake. config/snowflake/roles.sql grants the same (a test compares)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

Part = Literal["ingest", "transform", "scoring"]
PARTS: Final[tuple[Part, ...]] = ("ingest", "transform", "scoring")

RAW: Final = "raw"
OUTBOUND: Final = "reverse_etl_outbound"
MARTS: Final = ("analytics", "analytics_staging", "analytics_failures")
SCHEMAS: Final = (RAW, *MARTS, OUTBOUND)


@dataclass(frozen=True)
class Need:
    """`privileges` on one schema, and on every table and view in it."""

    schema: str
    on_schema: frozenset[str]
    on_tables: frozenset[str] = frozenset()


_MAKE_TABLES: Final = frozenset({"USAGE", "CREATE TABLE"})
_WRITE: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})
_READ: Final = frozenset({"SELECT"})
_USE: Final = frozenset({"USAGE"})

NEEDS: Final[Mapping[Part, tuple[Need, ...]]] = {
    "ingest": (Need(RAW, _MAKE_TABLES | {"CREATE STAGE"}, _WRITE),),
    "transform": (
        Need(RAW, _MAKE_TABLES, _READ),  # it makes raw.public_suffixes itself
        *(Need(schema, _MAKE_TABLES | {"CREATE VIEW"}, _READ) for schema in MARTS),
    ),
    "scoring": (
        Need("analytics", _USE, _READ),
        Need(OUTBOUND, _MAKE_TABLES, _WRITE),
    ),
}


def needs_of(parts: Iterable[Part]) -> list[Need]:
    """One per schema: what any of the parts needs there."""
    merged: dict[str, Need] = {}
    for need in (need for part in parts for need in NEEDS[part]):
        known = merged.get(need.schema, Need(need.schema, frozenset()))
        merged[need.schema] = Need(need.schema, known.on_schema | need.on_schema, known.on_tables | need.on_tables)
    return list(merged.values())


@dataclass(frozen=True)
class Grants:
    """What a role may do: its own grants and those of the roles that it has. Owners may do everything."""

    held: Mapping[tuple[str, str], frozenset[str]]
    """(kind, name) in upper case -> privileges, such as ("SCHEMA", "GTM.RAW") -> {"USAGE"}."""

    def missing(self, kind: str, name: str, wanted: Iterable[str]) -> list[str]:
        """Of `wanted`, what is not granted on the object."""
        held = self.held.get((kind.upper(), name.upper()), frozenset())
        return [] if "OWNERSHIP" in held else sorted(set(wanted) - held)


def to_grant(privileges: Iterable[str], kind: str, name: str, role: str) -> str:
    """The statement that mends it."""
    return f"grant {', '.join(privileges).lower()} on {kind.lower()} {name.lower()} to role {role.lower()};"
