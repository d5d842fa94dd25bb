"""What the whole house has written about people while it handled dirty records of them: nothing."""

import json
import re
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from tests.e2e.house import House
from tests.e2e.test_account_journey import MARKET

pytestmark = pytest.mark.processes

_PEOPLE = {
    "raw.hubspot_contacts": ("email", "firstname", "lastname"),
    "raw.salesforce_contacts": ("email", "first_name", "last_name"),
    "raw.salesforce_leads": ("email", "first_name", "last_name"),
}
_LEAST_PEOPLE = 50


def test_no_line_and_no_job_names_a_person(house: House) -> None:
    """After all journeys of the house; a pipeline of its own where it has had none."""
    emails, names = _people(house)
    if len(names) < _LEAST_PEOPLE:
        house.run_pipeline("mock", MARKET, limit=10)
        emails, names = _people(house)
    assert len(names) >= _LEAST_PEOPLE and len(emails) >= _LEAST_PEOPLE
    looked_at = 0
    for place, text in _written(house):
        looked_at += len(text)
        words = text.lower()
        assert [email for email in emails if email in words] == [], place
        assert re.search(r"[\w.+-]+@[\w-]+\.\w", text) is None, place
        assert [name for name in names if name in words] == [], place
    assert looked_at > 10_000


def _people(house: House) -> tuple[set[str], set[str]]:
    """E-mail addresses, and first and last names as they stand side by side; in lower case."""
    emails: set[str] = set()
    names: set[str] = set()
    with house.warehouse.core() as connection:
        known = {name for schema, name in _tables(connection) if schema == "raw"}
        for table, columns in _PEOPLE.items():
            if table.partition(".")[2] not in known:
                continue
            email, first, last = (sa.column(column) for column in columns)
            source = sa.table(table.partition(".")[2], schema="raw")
            for row in connection.execute(sa.select(email, first, last).select_from(source)):
                emails |= {row[0].strip().lower()} if row[0] and "@" in row[0] else set()
                if row[1] and row[2] and len(row[1].strip()) > 1 and len(row[2].strip()) > 1:
                    names |= {f"{row[1].strip()} {row[2].strip()}".lower()}
    return emails, names


def _tables(connection: sa.Connection) -> Iterator[tuple[str, str]]:
    statement = sa.text("select table_schema, table_name from information_schema.tables")
    yield from ((str(schema).lower(), str(name).lower()) for schema, name in connection.execute(statement))


def _written(house: House) -> Iterator[tuple[str, str]]:
    """Each line of each process, and each row that the operations database has about jobs."""
    for log in sorted(house.logs.glob("*.log")):
        yield from ((f"{log.name}:{number}", line) for number, line in enumerate(log.read_text().splitlines(), 1))
    engine = sa.create_engine(f"sqlite:///{house.data_dir / 'operations.sqlite3'}")
    try:
        metadata = sa.MetaData()
        metadata.reflect(engine)
        with engine.connect() as connection:
            for table in metadata.sorted_tables:
                for number, row in enumerate(connection.execute(sa.select(table))):
                    yield f"{table.name} {number}", json.dumps(list(row), default=str, ensure_ascii=False)
    finally:
        engine.dispose()
