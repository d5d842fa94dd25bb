"""The companies that the vendor sells to, with the two hidden traits that drive everything they do."""

import re
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
    draw,
    numbered,
    objects,
    pick,
    random_stream,
    salesforce_ids,
    sigmoid,
)
from services.ingest.domain.mock.options import MockOptions
from services.ingest.domain.mock.pools import INDUSTRIES, REGIONS, People

# Log-odds of ever getting an opportunity; docs/mock-source.md names these coefficients.
OPPORTUNITY_BASE: Final = -0.15
OPPORTUNITY_FIT: Final = 0.7
OPPORTUNITY_INTENT: Final = 0.9

# Who knows a company. With an opportunity: both CRMs, else Salesforce alone. Without: both, HubSpot alone, Salesforce.
BUYERS_IN_BOTH: Final = 0.88
OTHERS_IN_BOTH: Final = 0.55
OTHERS_IN_HUBSPOT_ALONE: Final = 0.38


@dataclass(frozen=True)
class Market:
    """One entry per company in every array. `fit` and `intent` are standard normal and independent."""

    fit: Floats
    intent: Floats
    name: Texts
    domain: Texts
    industry: Texts
    region: Texts
    city: Texts
    state: Texts
    country: Texts
    vehicle_type: Texts
    fleet_size: Ints
    employees: Ints
    annual_revenue: Ints
    created: Moments
    opportunities: Ints
    in_hubspot: Flags
    in_salesforce: Flags
    hubspot_id: Texts
    salesforce_id: Texts
    currency: Texts


def build_market(options: MockOptions, horizon: np.datetime64, people: People) -> Market:
    """The market as of `horizon` (the end of the data, exclusive)."""
    rng = random_stream(options.seed, 1)
    count = options.accounts
    fit, intent = rng.standard_normal(count), rng.standard_normal(count)
    industry = draw(rng, _shares([(share, pull) for share, pull, *_ in INDUSTRIES.values()], fit, 0.9))
    region = draw(rng, _shares([(share, pull) for share, pull, _ in REGIONS.values()], fit, 0.9))
    place = _draw_places(rng, region)
    size = np.array([traits[2] for traits in INDUSTRIES.values()])[industry]
    fleet = np.clip(size * np.exp(3.2 + 0.8 * fit + 0.7 * rng.standard_normal(count)), 1, 20_000).astype(np.int64)
    employees = np.ceil(fleet * np.exp(1.4 + 0.6 * rng.standard_normal(count)) + 2).astype(np.int64)
    revenue = (employees * np.exp(11.7 + 0.4 * rng.standard_normal(count)) / 1000).astype(np.int64) * 1000
    name, domain = _build_names(rng, industry, people)
    wants = rng.random(count) < sigmoid(OPPORTUNITY_BASE + OPPORTUNITY_FIT * fit + OPPORTUNITY_INTENT * intent)
    place_kind = rng.random(count)
    number = np.arange(1, count + 1, dtype=np.int64)
    vehicle_types = [objects(list(traits[4])) for traits in INDUSTRIES.values()]
    return Market(
        fit=fit,
        intent=intent,
        name=name,
        domain=domain,
        industry=objects(list(INDUSTRIES))[industry],
        region=objects(list(REGIONS))[region],
        city=place[:, 0],
        state=place[:, 1],
        country=place[:, 2],
        vehicle_type=objects([pick(rng, vehicle_types[kind], 1)[0] for kind in industry]),
        fleet_size=fleet,
        employees=employees,
        annual_revenue=revenue,
        created=horizon - days(options.history_days + rng.random(count) * 900),
        opportunities=np.where(wants, 1 + rng.poisson(0.35, count), 0),
        in_hubspot=place_kind < np.where(wants, BUYERS_IN_BOTH, OTHERS_IN_BOTH + OTHERS_IN_HUBSPOT_ALONE),
        in_salesforce=wants | (place_kind < OTHERS_IN_BOTH) | (place_kind >= OTHERS_IN_BOTH + OTHERS_IN_HUBSPOT_ALONE),
        hubspot_id=numbered("", 9_100_000_000 + number * 7, 10),
        salesforce_id=salesforce_ids("001Fm", number),
        currency=_draw_currencies(options),
    )


def _draw_currencies(options: MockOptions) -> Texts:
    rng = random_stream(options.seed, 10)
    others = pick(rng, objects(list(options.currencies[1:] or options.currencies)), options.accounts)
    others[rng.random(options.accounts) >= 0.1] = options.currencies[0]
    return others


def _shares(traits: list[tuple[float, float]], fit: Floats, strength: float) -> Floats:
    """Per company the weight of each kind: its share of the market, pulled by the company's fit."""
    share, pull = np.array(traits).T
    weights: Floats = share * np.exp(strength * np.outer(fit, pull))
    return weights


def _draw_places(rng: np.random.Generator, region: Ints) -> Texts:
    """City, state and country of each company."""
    places = [places for _, _, places in REGIONS.values()]
    chosen = [places[kind][int(roll * len(places[kind]))] for kind, roll in zip(region, rng.random(len(region)))]
    return np.array(chosen, dtype=object).reshape(len(region), 3)


def _build_names(rng: np.random.Generator, industry: Ints, people: People) -> tuple[Texts, Texts]:
    """Names and fictional domains, both unique within the market."""
    surnames = pick(rng, people.last_names, len(industry))
    endings = [traits[3] for traits in INDUSTRIES.values()]
    names, domains, taken = [], [], dict[str, int]()
    for kind, surname, roll in zip(industry, surnames, rng.random(len(industry))):
        name = f"{surname} {endings[kind][int(roll * len(endings[kind]))]}"
        taken[name] = taken.get(name, 0) + 1
        if taken[name] > 1:
            name = f"{name} {taken[name]}"
        names.append(name)
        domains.append(re.sub(r"[^a-z0-9]+", "-", name.lower().replace("&", "and")).strip("-") + ".example")
    return objects(names), objects(domains)
