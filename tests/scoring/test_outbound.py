"""What sales systems read: pages, one lead with its history, tables that are there once and for all."""

import base64
import json
from datetime import datetime

import pytest
import sqlalchemy as sa

from services.scoring.adapters.activity import ActivityChanges, settle_activity
from services.scoring.adapters.ollama import OllamaModel
from services.scoring.adapters.outbound import read_lead, read_leads
from services.scoring.adapters.outbound_tables import create_outbound_tables, outbound_metadata
from services.scoring.adapters.upserts import read_stored_leads
from services.scoring.flow import score_accounts
from services.scoring.settings import ScoringSettings
from shared.errors import InvalidRequest, NotFound
from shared.jobs.context import LeaseLost
from shared.warehouse import Warehouse
from tests.scoring.conftest import BuildMarts, FakeJob, account, read_table

MOMENT = datetime(2027, 1, 1)


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


def test_times_have_their_offset(scored: Warehouse) -> None:
    """The warehouse's have none; JSON's are RFC 3339."""
    lead = read_lead(scored, "hubspot:6")
    told = json.loads(lead.model_dump_json())
    assert told["scored_at"] == told["history"][0]["scored_at"] == f"{lead.scored_at:%Y-%m-%dT%H:%M:%S.%fZ}"
    assert told["mart_updated_at"] == "2026-01-01T00:00:00Z" and told["refreshed_at"] is None


def test_filters(scored: Warehouse) -> None:
    assert [lead.lead_score for lead in read_leads(scored, limit=50, min_score=39).items] == [40, 40, 39]
    assert read_leads(scored, limit=50, tier="A").items == []
    assert len(read_leads(scored, limit=50, tier="C").items) == 7


def _encode(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


_DEEP, _HUGE, _SURROGATE = _encode("[" * 3000), _encode(f'[{10**60}, "x"]'), _encode('[1, "\\ud800"]')


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "bm9wZQ==", "W10=", "WzEsMl0=", "é", _DEEP, _HUGE, _SURROGATE],
    ids=["empty", "short", "word", "list", "numbers", "umlaut", "deep", "huge", "surrogate"],
)
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


def test_every_factor_the_answer_and_where_they_come_from_are_kept(scored: Warehouse) -> None:
    lead = read_lead(scored, "hubspot:1")
    assert lead.factors is not None
    assert [(item.factor, item.component) for item in lead.factors] == [
        ("fleet_size", "fit"),
        ("industry", "fit"),
        ("visits", "engagement"),
        ("open_pipeline", "engagement"),
    ], "all of them, those without points too"
    assert (lead.weights_version, lead.score_bound) == ("weights-1", 10)
    assert lead.llm_answer is not None and json.loads(lead.llm_answer)["lead_score"] == lead.llm_score
    assert lead.proposed_action == json.loads(lead.llm_answer)["next_action"]
    assert lead.history[0].reasons is not None and lead.history[0].reasons[0].kind == "first"


def test_a_lead_that_stops_being_a_prospect_is_kept_marked_and_not_offered(
    scored: Warehouse, build_marts: BuildMarts
) -> None:
    before = {row["account_id"]: row for row in read_table(scored, "lead_scores")}
    won = account(2, is_active_prospect=False)
    build_marts(account(1), won, *(account(number) for number in range(4, 7)), account(60, engagement_score=6))
    changes = settle(scored, "job-2")
    assert (changes.deactivated, changes.reactivated) == (2, 0)
    offered = {lead.account_id for lead in read_leads(scored, limit=50).items}
    assert offered == before.keys() - {"hubspot:2", "hubspot:3"}
    assert len(read_leads(scored, limit=50, include_inactive=True).items) == 7
    for account_id, reason in (("hubspot:2", "customer"), ("hubspot:3", "gone")):
        lead = read_lead(scored, account_id)
        assert (lead.is_active, lead.inactive_reason, lead.job_id) == (False, reason, "job-1")
        newest = lead.history[0]
        assert (newest.job_id, newest.changed) == ("job-2", {"is_active": [True, False]})
        assert newest.reasons is not None and newest.reasons[0].model_dump()["reason"] == reason
    untouched = {row["account_id"]: row for row in read_table(scored, "lead_scores")}
    assert untouched["hubspot:1"] == before["hubspot:1"]
    assert untouched["hubspot:2"] == before["hubspot:2"] | {"is_active": False, "inactive_reason": "customer"}
    history = read_table(scored, "lead_score_history")
    assert settle(scored, "job-3") == ActivityChanges(), "a repeat changes nothing"
    assert read_table(scored, "lead_score_history") == history


def test_a_prospect_again_is_offered_again_and_a_dry_run_only_says_so(
    scored: Warehouse, build_marts: BuildMarts
) -> None:
    everyone = [*(account(number) for number in range(1, 7)), account(60, engagement_score=6)]
    build_marts(*everyone[1:])
    assert settle(scored, "job-2", ["hubspot:2", "nobody"]) == ActivityChanges(), "only those that were asked for"
    assert settle(scored, "job-2", ["hubspot:1"]).deactivated == 1
    build_marts(*everyone)
    shown = settle(scored, "job-3", most_shown=5)
    assert (shown.reactivated, shown.shown[0]["changed"]) == (1, {"is_active": [False, True]})
    assert not read_lead(scored, "hubspot:1").is_active
    assert settle(scored, "job-3").reactivated == 1
    lead = read_lead(scored, "hubspot:1")
    assert (lead.is_active, lead.inactive_reason) == (True, None)
    assert [change.job_id for change in lead.history] == ["job-3", "job-2", "job-1"]


def test_a_job_that_was_given_up_marks_nobody(scored: Warehouse, build_marts: BuildMarts) -> None:
    build_marts(account(1))

    def lose_lease() -> None:
        raise LeaseLost

    with pytest.raises(LeaseLost):
        settle_activity(scored, "job-2", MOMENT, before_commit=lose_lease)
    assert len(read_leads(scored, limit=50).items) == 7


def test_a_job_that_scores_and_marks_a_lead_tells_both_in_its_one_row(
    scored: Warehouse, build_marts: BuildMarts
) -> None:
    build_marts(account(1))
    settle(scored, "job-1")  # the mart was built anew while the job was away
    for number in (2, 60):
        (change,) = read_lead(scored, f"hubspot:{number}").history
        assert change.changed == {"is_active": [True, False]}
        assert [reason.kind for reason in change.reasons or []] == ["first", "activity"]


def test_what_an_earlier_release_wrote_is_read_and_gets_the_new_columns(
    scored: Warehouse, build_marts: BuildMarts
) -> None:
    added = ("is_active", "inactive_reason", "factors", "weights_version", "score_bound", "llm_answer")
    with scored.outbound(write=True) as connection:
        for column in (*added, "proposed_action"):
            connection.execute(sa.text(f"alter table reverse_etl_outbound.lead_scores drop column {column}"))
        connection.execute(sa.text("alter table reverse_etl_outbound.lead_score_history drop column reasons"))
    assert len(read_leads(scored, limit=50).items) == 7
    lead = read_lead(scored, "hubspot:1")
    assert (lead.is_active, lead.factors, lead.llm_answer, lead.history[0].reasons) == (True, None, None, None)
    assert read_stored_leads(scored, ["hubspot:1"])["hubspot:1"]["is_active"] is True
    build_marts(account(1))
    assert settle(scored, "job-2").deactivated == 6
    assert [lead.account_id for lead in read_leads(scored, limit=50).items] == ["hubspot:1"]
    test_tables_are_made_once_with_a_comment_on_every_column(scored)


def settle(
    warehouse: Warehouse, job_id: str, account_ids: list[str] | None = None, *, most_shown: int | None = None
) -> ActivityChanges:
    moment = MOMENT.replace(day=int(job_id[-1]))
    return settle_activity(warehouse, job_id, moment, account_ids, before_commit=lambda: None, most_shown=most_shown)
