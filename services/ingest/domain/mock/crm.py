"""How HubSpot and Salesforce write down the same companies and people."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from services.ingest.domain.mock.arrays import (
    Flags,
    Ints,
    Moments,
    Texts,
    days,
    numbered,
    objects,
    only_where,
    pick,
    random_stream,
    salesforce_ids,
    shorten_some,
    to_iso,
)
from services.ingest.domain.mock.market import Market
from services.ingest.domain.mock.merges import Merged
from services.ingest.domain.mock.opportunities import Deals
from services.ingest.domain.mock.options import MockOptions
from services.ingest.domain.mock.pools import JOB_TITLES, People

# Each CRM has words of its own for an industry; staging maps both.
SALESFORCE_INDUSTRIES: Final = {
    "construction": "Construction",
    "logistics": "Transportation",
    "field_services": "Facilities Services",
    "utilities": "Utilities",
    "food_and_beverage": "Food & Beverage",
    "public_sector": "Government",
    "agriculture": "Agriculture",
    "retail": "Retail",
    "software": "Technology",
    "other": "Other",
}
_HUBSPOT_INDUSTRIES: Final = {
    "construction": "CONSTRUCTION",
    "logistics": "LOGISTICS_AND_SUPPLY_CHAIN",
    "field_services": "FACILITIES_SERVICES",
    "utilities": "UTILITIES",
    "food_and_beverage": "FOOD_BEVERAGES",
    "public_sector": "GOVERNMENT_ADMINISTRATION",
    "agriculture": "FARMING",
    "retail": "RETAIL",
    "software": "COMPUTER_SOFTWARE",
    "other": "OTHER",
}


@dataclass(frozen=True)
class Contacts:
    """One entry per person in every array; `account` is the employer's position in the market."""

    account: Ints
    first_name: Texts
    last_name: Texts
    email: Texts
    title: Texts
    phone: Texts
    created: Moments
    changed: Moments
    hubspot_id: Texts
    salesforce_id: Texts
    visitor_id: Texts
    in_salesforce: Flags


def build_contacts(options: MockOptions, market: Market, horizon: np.datetime64, people: People) -> Contacts:
    """One to four people per company, with one address each at the company's domain."""
    rng = random_stream(options.seed, 4)
    account = np.repeat(np.arange(len(market.fit)), 1 + rng.integers(0, 4, len(market.fit)))
    count = len(account)
    first, last = pick(rng, people.first_names, count), pick(rng, people.last_names, count)
    number = np.arange(1, count + 1, dtype=np.int64)
    mailbox = objects([f"{a}.{b}".lower().replace(" ", "").replace("'", "") for a, b in zip(first, last)])
    span = (horizon - market.created[account]) / np.timedelta64(1, "D")
    created = market.created[account] + days(span * rng.random(count) ** 3 * 0.9)
    return Contacts(
        account=account,
        first_name=first,
        last_name=last,
        # The number keeps namesakes in one company apart.
        email=mailbox + objects([f"{n % 97}@" for n in number.tolist()]) + market.domain[account],
        title=pick(rng, objects(list(JOB_TITLES)), count),
        phone=objects([f"+1 555 01{n // 1000:02d} {n % 1000:03d}" for n in rng.integers(0, 100_000, count).tolist()]),
        created=created,
        changed=created + days((horizon - created) / np.timedelta64(1, "D") * rng.random(count) * 0.99),
        hubspot_id=numbered("", 5_200_000_000 + number * 3, 10),
        salesforce_id=salesforce_ids("003Fm", number),
        visitor_id=objects([f"v{n:012x}" for n in rng.integers(0, 2**48, count).tolist()]),
        in_salesforce=market.in_salesforce[account] & (random_stream(options.seed, 7).random(count) < 0.7),
    )


def to_hubspot_companies(
    options: MockOptions, market: Market, deals: Sequence[Deals], accounts: Merged, horizon: np.datetime64
) -> dict[str, Texts]:
    """Rows of `hubspot_companies`; six in ten of the shared ones carry Salesforce's id, some one that is gone."""
    rng = random_stream(options.seed, 5)
    here = market.in_hubspot
    linked = market.in_salesforce & (rng.random(len(here)) < 0.6)
    columns = {
        "id": market.hubspot_id,
        "name": market.name,
        "domain": market.domain,
        "industry": objects([_HUBSPOT_INDUSTRIES[name] for name in market.industry]),
        "city": market.city,
        "state": market.state,
        "country": market.country,
        "numberofemployees": market.employees.astype(str).astype(object),
        "annualrevenue": market.annual_revenue.astype(str).astype(object),
        "lifecyclestage": _lifecycle_stages(rng, market, deals),
        "fleet_size": market.fleet_size.astype(str).astype(object),
        "vehicle_type": market.vehicle_type,
        "salesforce_account_id": only_where(linked, accounts.named_instead(random_stream(options.seed, 24, 1), 0.5)),
        "createdate": to_iso(market.created, "Z"),
        "hs_lastmodifieddate": to_iso(_changed(rng, market.created, horizon), "Z"),
    }
    return {name: values[here] for name, values in columns.items()}


def to_salesforce_accounts(
    options: MockOptions, market: Market, deals: Deals, companies: Merged, horizon: np.datetime64
) -> dict[str, Texts]:
    """Rows of `salesforce_accounts`; half of the shared ones carry HubSpot's id, some one that is gone."""
    rng = random_stream(options.seed, 6)
    here = market.in_salesforce
    linked = market.in_hubspot & (rng.random(len(here)) < 0.5)
    is_customer = np.isin(np.arange(len(here)), deals.account[deals.won])
    columns = {
        "id": market.salesforce_id,
        "name": market.name,
        "website": objects([f"https://www.{domain}" for domain in market.domain]),
        "industry": objects([SALESFORCE_INDUSTRIES[name] for name in market.industry]),
        "type": np.where(is_customer, "Customer", "Prospect").astype(object),
        "billing_city": market.city,
        "billing_state": market.state,
        "billing_country": market.country,
        "number_of_employees": market.employees.astype(str).astype(object),
        "annual_revenue": market.annual_revenue.astype(str).astype(object),
        "fleet_size": market.fleet_size.astype(str).astype(object),
        "vehicle_type": market.vehicle_type,
        "hubspot_company_id": only_where(linked, companies.named_instead(random_stream(options.seed, 24, 2), 0.5)),
        "owner_id": salesforce_ids("005Fm", rng.integers(1, 12, len(here))),
        "created_date": to_iso(market.created, "+0000"),
        "system_modstamp": to_iso(_changed(rng, market.created, horizon), "+0000"),
    }
    return {name: values[here] for name, values in columns.items()}


def to_hubspot_contacts(
    options: MockOptions, market: Market, contacts: Contacts, merged: Merged, lead_ids: Texts
) -> dict[str, Texts]:
    """Rows of `hubspot_contacts`: everyone at a company that HubSpot knows, some under an id that it had before."""
    here = market.in_hubspot[contacts.account]
    company_id = merged.named_instead(random_stream(options.seed, 24, 3), 0.5)
    links = _salesforce_links(options, contacts)
    columns = {
        "id": contacts.hubspot_id,
        "email": contacts.email,
        "firstname": contacts.first_name,
        "lastname": contacts.last_name,
        "jobtitle": contacts.title,
        "phone": contacts.phone,
        "company_id": company_id[contacts.account],
        "company": market.name[contacts.account],
        "lifecyclestage": objects(["lead"] * len(here)),
        "createdate": to_iso(contacts.created, "Z"),
        "lastmodifieddate": to_iso(contacts.changed, "Z"),
        "salesforce_contact_id": links,
        "salesforce_lead_id": lead_ids,
    }
    return {name: values[here] for name, values in columns.items()}


def to_salesforce_contacts(options: MockOptions, market: Market, contacts: Contacts) -> dict[str, Texts]:
    """Rows of `salesforce_contacts`: seven in ten of the people at companies that Salesforce knows."""
    rng = random_stream(options.seed, 7)
    rng.random(len(contacts.account))  # `build_contacts` drew from here who is in Salesforce
    here = contacts.in_salesforce
    columns = {
        "id": contacts.salesforce_id,
        "account_id": market.salesforce_id[contacts.account],
        "email": contacts.email,
        "first_name": contacts.first_name,
        "last_name": contacts.last_name,
        "title": contacts.title,
        "phone": contacts.phone,
        "lead_source": pick(rng, objects(["Web", "Trade Show", "Partner Referral", None]), len(here)),
        "created_date": to_iso(contacts.created, "+0000"),
        "system_modstamp": to_iso(contacts.changed, "+0000"),
    }
    return {name: values[here] for name, values in columns.items()}


def _salesforce_links(options: MockOptions, contacts: Contacts) -> Texts:
    """Salesforce's id of half of the people that it has, some in 15 characters."""
    rng = random_stream(options.seed, 25)
    linked = contacts.in_salesforce & (rng.random(len(contacts.account)) < 0.5)
    return shorten_some(rng, only_where(linked, contacts.salesforce_id), 0.2)


def _changed(rng: np.random.Generator, created: Moments, horizon: np.datetime64) -> Moments:
    moments: Moments = created + ((horizon - created) * rng.random(len(created)) * 0.99).astype("timedelta64[ms]")
    return moments


def _lifecycle_stages(rng: np.random.Generator, market: Market, deals: Sequence[Deals]) -> Texts:
    stages = pick(rng, objects(["subscriber", "lead", "marketingqualifiedlead"]), len(market.fit))
    for some in deals:
        stages[some.account] = "opportunity"
    for some in deals:
        stages[some.account[some.won]] = "customer"
    return stages
