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
    flag_texts,
    objects,
    only_where,
    pick,
    random_stream,
    salesforce_ids,
    shorten_some,
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
    is_first: Flags
    """The account's first: new business."""


def build_deals(options: MockOptions, market: Market, horizon: np.datetime64) -> Deals:
    """Every opportunity of the market. One that would close after `horizon` is still open."""
    account = np.repeat(np.arange(len(market.fit)), market.opportunities)
    number = np.arange(1, len(account) + 1, dtype=np.int64)
    return draw_deals(
        random_stream(options.seed, 2), options, market, account, salesforce_ids("006Fm", number), horizon
    )


def draw_deals(
    rng: np.random.Generator, options: MockOptions, market: Market, account: Ints, id: Texts, horizon: np.datetime64
) -> Deals:
    """How each one of `id` goes; `account`, sorted, is whose it is."""
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
        id=id,
        account_id=market.salesforce_id[account],
        is_first=np.append(True, account[1:] != account[:-1])[:count],
    )


def to_opportunities(options: MockOptions, market: Market, deals: Deals, campaign_ids: Texts) -> dict[str, Texts]:
    """Rows of `salesforce_opportunities`; one in four names the campaign that it is credited to."""
    rng, own = random_stream(options.seed, 3), random_stream(options.seed, 22)
    count = len(deals.id)
    return {
        "id": deals.id,
        "account_id": deals.account_id,
        "name": deal_names(market, deals),
        "amount": objects([f"{amount}.00" for amount in deals.amount.tolist()]),
        "currency_iso_code": market.currency[deals.account],
        "stage_name": _stage_names(deals.stage, deals.won),
        "type": np.where(deals.is_first, "New Business", "Existing Business").astype(object),
        "lead_source": pick(rng, _LEAD_SOURCES, count),
        "probability": _probabilities(deals.stage, deals.won),
        "is_closed": flag_texts(deals.closed),
        "is_won": flag_texts(deals.won),
        "close_date": to_dates(deals.closes),
        "created_date": to_iso(deals.created, "+0000"),
        "system_modstamp": to_iso(reached(deals, deals.stage), "+0000"),
        "owner_id": salesforce_ids("005Fm", own.integers(1, 12, count)),
        "campaign_id": only_where(own.random(count) < 0.25, shorten_some(own, pick(own, campaign_ids, count), 0.2)),
    }


def deal_names(market: Market, deals: Deals) -> Texts:
    """As both CRMs call them."""
    names: Texts = market.name[deals.account] + np.where(deals.is_first, " - Fleet platform", " - Expansion").astype(
        object
    )
    return names


def to_opportunity_history(deals: Deals) -> dict[str, Texts]:
    """Rows of `salesforce_opportunity_history`: one per stage that an opportunity has reached."""
    of_stage, stage = to_stages(deals)
    won = of_stage.won & (stage == 4)
    return {
        "id": salesforce_ids("008Fm", np.arange(1, len(stage) + 1, dtype=np.int64)),
        "opportunity_id": of_stage.id,
        "stage_name": _stage_names(stage, won),
        "amount": objects([f"{amount}.00" for amount in of_stage.amount.tolist()]),
        "probability": _probabilities(stage, won),
        "close_date": to_dates(of_stage.closes),
        "created_date": to_iso(reached(of_stage, stage), "+0000"),
    }


def to_stages(deals: Deals) -> tuple[Deals, Ints]:
    """Each deal once per stage that it has reached, and those stages."""
    position = np.repeat(np.arange(len(deals.id)), deals.stage + 1)
    stage = np.arange(len(position)) - np.repeat(np.cumsum(deals.stage + 1) - deals.stage - 1, deals.stage + 1)
    return Deals(**{name: getattr(deals, name)[position] for name in Deals.__dataclass_fields__}), stage


def reached(deals: Deals, stage: Ints) -> Moments:
    """When the stage was reached: a quarter of the cycle each."""
    share: Floats = stage / 4
    reached: Moments = deals.created + ((deals.closes - deals.created) * share).astype("timedelta64[ms]")
    return reached


def _stage_names(stage: Ints, won: Flags) -> Texts:
    names = objects([*_STAGES[:4], "Closed Lost", "Closed Won"])
    return names[stage + won]


def _probabilities(stage: Ints, won: Flags) -> Texts:
    return objects([*map(str, _PROBABILITIES), "0", "100"])[stage + won]
