"""What no CRM writes down: the hidden traits and the true odds (docs/mock-source.md). For evaluations alone."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from services.ingest.domain.mock.arrays import Floats, only_where, sigmoid
from services.ingest.domain.mock.hubspot_deals import HUBSPOT_ONLY_BASE
from services.ingest.domain.mock.market import (
    OPPORTUNITY_BASE,
    OPPORTUNITY_FIT,
    OPPORTUNITY_INTENT,
    OTHERS_IN_HUBSPOT_ALONE,
    Market,
)
from services.ingest.domain.mock.opportunities import WIN_BASE, WIN_FIT, WIN_INTENT
from services.ingest.domain.mock.options import MockOptions
from services.ingest.domain.mock.texts import to_pool
from services.ingest.domain.mock.world import World, build_world


@dataclass(frozen=True)
class Truth:
    """Both tables name records by the ids that RAW has. No row of a sync depends on them."""

    companies: pa.Table
    """One row per company of the market: `domain, hubspot_company_id, salesforce_account_id, fit, intent,
    opportunity_probability, win_probability`. An id is null where that CRM doesn't know the company.
    """
    opportunities: pa.Table
    """One row per opportunity, first Salesforce's, then those that HubSpot alone has: `salesforce_opportunity_id,
    hubspot_deal_id, domain, win_probability, is_closed, is_won`. HubSpot's copies have no row of their own.
    """


def build_truth(options: MockOptions, as_of: date) -> Truth:
    """The truth about the market that these options and this day make."""
    world = build_world(options, as_of)
    return Truth(_describe_companies(world.market), _describe_opportunities(world))


def _describe_companies(market: Market) -> pa.Table:
    odds = OPPORTUNITY_FIT * market.fit + OPPORTUNITY_INTENT * market.intent
    in_salesforce = sigmoid(OPPORTUNITY_BASE + odds)
    in_hubspot_alone = OTHERS_IN_HUBSPOT_ALONE * sigmoid(HUBSPOT_ONLY_BASE + odds)
    return pa.table(
        {
            "domain": to_pool(market.domain),
            "hubspot_company_id": to_pool(only_where(market.in_hubspot, market.hubspot_id)),
            "salesforce_account_id": to_pool(only_where(market.in_salesforce, market.salesforce_id)),
            "fit": market.fit,
            "intent": market.intent,
            "opportunity_probability": in_salesforce + (1 - in_salesforce) * in_hubspot_alone,
            "win_probability": _win_probability(market),
        }
    )


def _describe_opportunities(world: World) -> pa.Table:
    of_salesforce, own = world.deals, world.own_deals
    account = np.append(of_salesforce.account, own.account)
    return pa.table(
        {
            "salesforce_opportunity_id": to_pool([*of_salesforce.id, *[None] * len(own.id)]),
            "hubspot_deal_id": to_pool([*[None] * len(of_salesforce.id), *own.id]),
            "domain": to_pool(world.market.domain[account]),
            "win_probability": _win_probability(world.market)[account],
            "is_closed": np.append(of_salesforce.closed, own.closed),
            "is_won": np.append(of_salesforce.won, own.won),
        }
    )


def _win_probability(market: Market) -> Floats:
    """Of an opportunity that closes before `as_of`."""
    return sigmoid(WIN_BASE + WIN_FIT * market.fit + WIN_INTENT * market.intent)
