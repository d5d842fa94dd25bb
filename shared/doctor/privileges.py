"""What each part of the product needs on Snowflake. config/snowflake/roles.sql grants the same (a test compares)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

Part = Literal["ingest", "transform", "scoring"]
PARTS: Final[tuple[Part, ...]] = ("ingest", "transform", "scoring")

RAW: Final = "raw"
OUTBOUND: Final = "reverse_etl_outbound"
MARTS: Final = ("analytics", "analytics_staging", "analytics_failures")
SCHEMAS: Final = (RAW, *MARTS, OUTBOUND)


_NOTHING: Final = frozenset[str]()


@dataclass(frozen=True)
class Need:
    """`on_schema` on one schema; `on_tables` on every table and view in it, but for those that `on_named` has."""

    schema: str
    on_schema: frozenset[str]
    on_tables: frozenset[str] = _NOTHING
    on_named: Mapping[str, frozenset[str]] = field(default_factory=dict)
    expected: frozenset[str] = _NOTHING
    """Tables without which its jobs fail. Snowflake lists none that the role has no privilege on."""

    def on(self, table: str) -> frozenset[str]:
        """What is needed on a table or view of the schema."""
        return self.on_named.get(table.lower(), self.on_tables)

    def joined(self, other: "Need") -> "Need":
        """What either needs, of the same schema."""
        named = {name: self.on(name) | other.on(name) for name in {*self.on_named, *other.on_named}}
        expected = self.expected | other.expected
        return Need(
            self.schema, self.on_schema | other.on_schema, self.on_tables | other.on_tables, named, expected=expected
        )


_MAKE_TABLES: Final = frozenset({"USAGE", "CREATE TABLE"})
_READ: Final = frozenset({"SELECT"})
_USE: Final = frozenset({"USAGE"})
# To replace, to alter (columns of a newer release) and to drop takes the ownership of a table; no privilege does.
_OWN: Final = frozenset({"OWNERSHIP"})

NEEDS: Final[Mapping[Part, tuple[Need, ...]]] = {
    "ingest": (Need(RAW, _MAKE_TABLES | {"CREATE STAGE"}, _OWN, {"public_suffixes": _NOTHING}),),
    "transform": (
        Need(RAW, _MAKE_TABLES, _READ, {"public_suffixes": _OWN}, frozenset({"hubspot_companies", "loads"})),
        *(Need(schema, _MAKE_TABLES | {"CREATE VIEW"}, _OWN) for schema in MARTS),
    ),
    "scoring": (
        Need(
            "analytics",
            _USE,
            on_named={name: _READ for name in ("dim_accounts", "fct_account_score_factors", "load_accounts")},
            expected=frozenset({"dim_accounts", "fct_account_score_factors"}),
        ),
        Need(OUTBOUND, _MAKE_TABLES, _OWN),
    ),
}


def needs_of(parts: Iterable[Part]) -> list[Need]:
    """One per schema: what any of the parts needs there."""
    joined: dict[str, Need] = {}
    for need in (need for part in parts for need in NEEDS[part]):
        known = joined.get(need.schema)
        joined[need.schema] = need if known is None else known.joined(need)
    return list(joined.values())


@dataclass(frozen=True)
class Grants:
    """What a role may do: its own grants and those of the roles that it has. Owners may do everything."""

    held: Mapping[tuple[str, str], frozenset[str]]
    """(kind, name) in upper case -> privileges, such as ("SCHEMA", "GTM.RAW") -> {"USAGE"}."""

    def missing(self, kind: str, name: str, wanted: Iterable[str]) -> list[str]:
        """Of `wanted`, what is not granted on the object; where the ownership is wanted, that alone."""
        held = self.held.get((kind.upper(), name.upper()), frozenset())
        lacking = set() if "OWNERSHIP" in held else set(wanted) - held
        return ["OWNERSHIP"] if "OWNERSHIP" in lacking else sorted(lacking)


def to_grant(privileges: Iterable[str], kind: str, name: str, role: str) -> str:
    """The statement that mends it. Who hands over a table keeps the grants that others have on it."""
    given = ", ".join(privileges).lower()
    kept = " copy current grants" if given == "ownership" else ""
    return f"grant {given} on {kind.lower()} {name.lower()} to role {role.lower()}{kept};"
