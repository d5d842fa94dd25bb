"""One login to Snowflake that only asks, and what a role may do there."""

from typing import Any

from snowflake.connector.cursor import DictCursor
from snowflake.connector.errors import Error as ConnectorError

from shared.doctor.privileges import Grants
from shared.settings import WarehouseSettings
from shared.warehouse.snowflake_errors import explain_refusal


class Session:
    """One login, and `show` statements as dictionaries with lower-case keys."""

    def __init__(self, settings: WarehouseSettings, connection: Any) -> None:
        self.settings = settings
        self._connection = connection

    def rows(self, statement: str) -> list[dict[str, Any]]:
        """Raises GtmError: refused."""
        try:
            with self._connection.cursor(DictCursor) as cursor:
                found = cursor.execute(statement).fetchall()
        except ConnectorError as error:
            raise explain_refusal(error, self.settings) from error
        return [{str(name).lower(): value for name, value in row.items()} for row in found]


def read_grants(session: Session, role: str) -> Grants:
    """Of the role, of every role that it has, however deep, and of PUBLIC, which every role has.

    Raises:
        GtmError: the role's grants may not be shown.
    """
    held: dict[tuple[str, str], frozenset[str]] = {}
    waiting, seen = [f"role {role.upper()}", "role PUBLIC"], set()
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        for row in session.rows(f"show grants to {current}"):
            kind, name = str(row["granted_on"]).upper().replace("_", " "), plain_name(str(row["name"]))
            privilege = str(row["privilege"]).upper()
            if kind in ("ROLE", "DATABASE ROLE") and privilege == "USAGE":
                waiting.append(f"{kind.lower()} {name}")
            held[kind, name] = held.get((kind, name), frozenset()) | {privilege}
    return Grants(held)


def plain_name(name: str) -> str:
    """Upper case and unquoted, without a function's signature."""
    return name.replace('"', "").upper()
