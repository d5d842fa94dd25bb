"""Leads as sales tools and `gtm` read them."""

from typing import Annotated, Final

from fastapi import APIRouter, Query

from services.scoring.adapters.outbound import LeadDetail, LeadPage, read_lead, read_leads
from shared.http import guarded
from shared.http.problems import problem_responses
from shared.settings import warehouse_settings
from shared.warehouse import open_warehouse

router = APIRouter(tags=["leads"])

_TO_ONE: Final = {
    "getLead": {"operationId": "getLead", "parameters": {"account_id": "$response.body#/items/0/account_id"}}
}


@router.get(
    "/v1/leads",
    operation_id="listLeads",
    summary="Leads, best first",
    responses={200: {"links": _TO_ONE}, **problem_responses(422)},
    dependencies=guarded("read"),
)
def list_leads(
    tier: Annotated[str | None, Query(pattern="^[A-D]$")] = None,
    min_score: Annotated[int | None, Query(ge=0, le=100)] = None,
    include_inactive: Annotated[bool, Query(description="also leads that are no active prospects any more")] = False,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> LeadPage:
    warehouse = open_warehouse(warehouse_settings())
    return read_leads(
        warehouse, limit=limit, cursor=cursor, tier=tier, min_score=min_score, include_inactive=include_inactive
    )


@router.get(
    "/v1/leads/{account_id}",
    operation_id="getLead",
    summary="One lead: score, every factor, claims, pitch, provenance, and its history with reasons",
    responses=problem_responses(404),
    dependencies=guarded("read"),
)
def get_lead(account_id: str) -> LeadDetail:
    return read_lead(open_warehouse(warehouse_settings()), account_id)
