"""What sales systems read: pages, one lead with its history, tables that are there once and for all."""

import pytest
import sqlalchemy as sa

from services.scoring.adapters.ollama import OllamaModel
from services.scoring.adapters.outbound import read_lead, read_leads
from services.scoring.adapters.outbound_tables import create_outbound_tables, outbound_metadata
from services.scoring.flow import score_accounts
from services.scoring.settings import ScoringSettings
from shared.errors import InvalidRequest, NotFound
from shared.warehouse import Warehouse
from tests.scoring.conftest import BuildMarts, FakeJob, account


@pytest.fixture
def scored(warehouse: Warehouse, settings: ScoringSettings, build_marts: BuildMarts) -> Warehouse:
    """Seven leads, two of them with the same score."""
    build_marts(*(account(number) for number in range(1, 7)), account(60, engagement_score=6))
    score_accounts(FakeJob(), warehouse, OllamaModel(settings), settings)
    return warehouse


def test_pages_hold_every_lead_once_best_first(scored: Warehouse) -> None:
    seen, cursor = [], None
    for _ in range(10):
        page = read_leads(scored, limit=2, cursor=cursor)
        seen += [(lead.lead_score, lead.account_id) for lead in page.items]
        if (cursor := page.next_cursor) is None:
            break
    assert len(seen) == 7
    assert seen == sorted(seen, key=lambda item: (-item[0], item[1]))
    assert [score for score, _ in seen][:2] == [40, 40]


def test_filters(scored: Warehouse) -> None:
    assert [lead.lead_score for lead in read_leads(scored, limit=50, min_score=39).items] == [40, 40, 39]
    assert read_leads(scored, limit=50, tier="A").items == []
    assert len(read_leads(scored, limit=50, tier="C").items) == 7


@pytest.mark.parametrize("cursor", ["", "x", "bm9wZQ==", "W10=", "WzEsMl0=", "é"])
def test_a_cursor_of_ones_own_making_is_refused(scored: Warehouse, cursor: str) -> None:
    with pytest.raises(InvalidRequest, match="next_cursor"):
        read_leads(scored, limit=2, cursor=cursor)


def test_one_lead_with_reasons_claims_and_history(scored: Warehouse) -> None:
    lead = read_lead(scored, "hubspot:1")
    assert (lead.reasons[0].factor, lead.reasons[0].points) == ("fleet_size", 20)
    assert lead.claims[0].field == "fleet_size"
    assert [(change.job_id, change.previous_lead_score, change.changed) for change in lead.history] == [
        ("job-1", None, {})
    ]


def test_before_the_first_scoring_there_is_an_empty_page_and_no_lead(warehouse: Warehouse) -> None:
    assert read_leads(warehouse, limit=10).items == []
    with pytest.raises(NotFound, match="POST /v1/scorings"):
        read_lead(warehouse, "hubspot:1")


def test_an_unknown_account_is_not_found(scored: Warehouse) -> None:
    with pytest.raises(NotFound):
        read_lead(scored, "nobody")


def test_tables_are_made_once_with_a_comment_on_every_column(warehouse: Warehouse) -> None:
    for _ in range(2):
        with warehouse.outbound(write=True) as connection:
            create_outbound_tables(connection)
    listing = "select table_name, column_name, comment from duckdb_columns() where schema_name = 'reverse_etl_outbound'"
    with warehouse.outbound() as connection:
        comments = {(row[0], row[1]): row[2] for row in connection.execute(sa.text(listing))}
    for table in outbound_metadata.sorted_tables:
        assert table.comment
        for column in table.columns:
            assert column.comment and comments[(table.name, column.name)] == column.comment
