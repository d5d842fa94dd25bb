"""Leads as sales tools and `gtm` read them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from services.scoring.adapters.outbound import LeadDetail, LeadPage, read_lead, read_leads
from shared.http.access import require_caller
from shared.http.problems import problem_responses
from shared.settings import warehouse_settings
from shared.warehouse import open_warehouse

router = APIRouter(tags=["leads"], dependencies=[Depends(require_caller)])


@router.get(
    "/v1/leads",
    operation_id="listLeads",
    summary="Leads, best first",
    responses=problem_responses(401, 422, 503),
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
    responses=problem_responses(401, 404, 503),
)
def get_lead(account_id: str) -> LeadDetail:
    return read_lead(open_warehouse(warehouse_settings()), account_id)
