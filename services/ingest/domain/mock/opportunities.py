"""Salesforce opportunities and their stage history: who buys, for how much, and how long it takes."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from services.ingest.domain.mock.arrays import (
    Flags,
    Floats,
    Ints,
    Moments,
    Texts,
    days,
    numbered,
    objects,
    pick,
    random_stream,
    sigmoid,
    to_dates,
    to_iso,
)
from services.ingest.domain.mock.market import Market
from services.ingest.domain.mock.options import MockOptions

# Log-odds of winning a closed opportunity; docs/mock-source.md names these coefficients.
WIN_BASE: Final = -0.35
WIN_FIT: Final = 0.9
WIN_INTENT: Final = 0.8

_STAGES: Final = ("Prospecting", "Qualification", "Proposal", "Negotiation", "Closed")
_PROBABILITIES: Final = (10, 25, 50, 75)
_LEAD_SOURCES: Final = objects(["Web", "Inbound Call", "Partner Referral", "Trade Show", "Outbound"])


@dataclass(frozen=True)
class Deals:
    """One entry per opportunity in every array; `account` is its position in the market."""

    account: Ints
    created: Moments
    closes: Moments
    closed: Flags
    won: Flags
    amount: Ints
    stage: Ints
    id: Texts
    account_id: Texts


def build_deals(options: MockOptions, market: Market, horizon: np.datetime64) -> Deals:
    """Every opportunity of the market. One that would close after `horizon` is still open."""
    rng = random_stream(options.seed, 2)
    account = np.repeat(np.arange(len(market.fit)), market.opportunities)
    count = len(account)
    created = horizon - days(1 + rng.random(count) * (options.history_days - 1))
    cycle = np.exp(3.7 + 0.5 * rng.standard_normal(count))
    closes = created + days(cycle)
    closed = closes < horizon
    odds = WIN_BASE + WIN_FIT * market.fit[account] + WIN_INTENT * market.intent[account]
    won = closed & (rng.random(count) < sigmoid(odds))
    yearly_usd_per_vehicle = 180 + 240 * rng.random(count)
    amount = np.maximum(market.fleet_size[account] * yearly_usd_per_vehicle // 100 * 100, 1200).astype(np.int64)
    age = (horizon - created) / days(cycle)
    stage = np.where(closed, 4, np.clip((age * 4).astype(np.int64), 0, 3))
    return Deals(
        account=account,
        created=created,
        closes=closes,
        closed=closed,
        won=won,
        amount=amount,
        stage=stage,
        id=numbered("006Fm", np.arange(1, count + 1, dtype=np.int64), 10, "AAD"),
        account_id=market.salesforce_id[account],
    )


def to_opportunities(options: MockOptions, market: Market, deals: Deals) -> dict[str, Texts]:
    """Rows of `salesforce_opportunities`."""
    rng = random_stream(options.seed, 3)
    count = len(deals.id)
    is_first = np.append(True, deals.account[1:] != deals.account[:-1])[:count]
    return {
        "id": deals.id,
        "account_id": deals.account_id,
        "name": market.name[deals.account] + np.where(is_first, " - Fleet platform", " - Expansion").astype(object),
        "amount": objects([f"{amount}.00" for amount in deals.amount.tolist()]),
        "currency_iso_code": objects(["USD"] * count),
        "stage_name": _stage_names(deals.stage, deals.won),
        "type": np.where(is_first, "New Business", "Existing Business").astype(object),
        "lead_source": pick(rng, _LEAD_SOURCES, count),
        "probability": _probabilities(deals.stage, deals.won),
        "is_closed": np.where(deals.closed, "true", "false").astype(object),
        "is_won": np.where(deals.won, "true", "false").astype(object),
        "close_date": to_dates(deals.closes),
        "created_date": to_iso(deals.created, "+0000"),
        "system_modstamp": to_iso(_reached(deals, deals.stage), "+0000"),
    }


def to_opportunity_history(deals: Deals) -> dict[str, Texts]:
    """Rows of `salesforce_opportunity_history`: one per stage that an opportunity has reached."""
    position = np.repeat(np.arange(len(deals.id)), deals.stage + 1)
    stage = np.arange(len(position)) - np.repeat(np.cumsum(deals.stage + 1) - deals.stage - 1, deals.stage + 1)
    of_stage = Deals(**{name: getattr(deals, name)[position] for name in Deals.__dataclass_fields__})
    won = of_stage.won & (stage == 4)
    return {
        "id": numbered("008Fm", np.arange(1, len(position) + 1, dtype=np.int64), 10, "AAE"),
        "opportunity_id": of_stage.id,
        "stage_name": _stage_names(stage, won),
        "amount": objects([f"{amount}.00" for amount in of_stage.amount.tolist()]),
        "probability": _probabilities(stage, won),
        "close_date": to_dates(of_stage.closes),
        "created_date": to_iso(_reached(of_stage, stage), "+0000"),
    }


def _reached(deals: Deals, stage: Ints) -> Moments:
    """When the stage was reached: a quarter of the cycle each."""
    share: Floats = stage / 4
    reached: Moments = deals.created + ((deals.closes - deals.created) * share).astype("timedelta64[ms]")
    return reached


def _stage_names(stage: Ints, won: Flags) -> Texts:
    names = objects([*_STAGES[:4], "Closed Lost", "Closed Won"])
    return names[stage + won]


def _probabilities(stage: Ints, won: Flags) -> Texts:
    return objects([*map(str, _PROBABILITIES), "0", "100"])[stage + won]
