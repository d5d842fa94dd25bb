"""What a column of a source may hold: mostly sense, few values so that records meet, and some that nobody can read."""

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random

Roll = Callable[[Random], str | None]

_DAY = datetime(2026, 3, 1)


def one_of(*values: str | None) -> Roll:
    """Each as likely."""
    return lambda random: random.choice(values)


def hubspot_reference(first: int, count: int) -> Roll:
    """A HubSpot id, now and then dangling, empty, or as a spreadsheet writes it."""

    def roll(random: Random) -> str | None:
        text = str(random.randrange(first, first + count + 1))
        return random.choice((text,) * 12 + (f"{text}.0", None, None))

    return roll


_PREFIXES = {
    "salesforce_accounts": "001",
    "salesforce_contacts": "003",
    "salesforce_opportunities": "006",
    "salesforce_opportunity_history": "008",
    "salesforce_leads": "00Q",
    "salesforce_campaigns": "701",
    "salesforce_campaign_members": "00v",
    "salesforce_tasks": "00T",
    "salesforce_opportunity_contact_roles": "00K",
    "salesforce_events": "00U",
    "salesforce_users": "005",
}


def salesforce_id(table: str, number: int, random: Random) -> str:
    """Of 18 characters, one time in five of 15: the same record."""
    short = f"{_PREFIXES[table]}Fm{number:010d}"
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
    blocks = (short[start : start + 5] for start in (0, 5, 10))
    suffix = "".join(letters[sum(2**bit for bit, sign in enumerate(block) if sign.isupper())] for block in blocks)
    return short if random.random() < 0.2 else short + suffix


def salesforce_reference(table: str) -> Roll:
    """In either form; one in ten is empty, some are dangling."""
    first, count = RECORDS[table]
    return lambda random: random.choice(
        (salesforce_id(table, first + random.randrange(count + 1), random),) * 9 + (None,)
    )


def moment(days: int, *, strict: bool = False) -> Roll:
    """Within so many days before the as-of day, mostly the last few, on a coarse grid: seconds are often shared."""

    def roll(random: Random) -> str | None:
        moment = _DAY - timedelta(
            days=random.randrange(random.choice((20, 60, days))), hours=random.choice((0, 0, 1, 9))
        )
        iso = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        if strict or random.random() < 0.7:
            return iso
        epoch = str(int((moment - datetime(1970, 1, 1)).total_seconds() * 1000))
        slashed = f"{moment.month}/{moment.day}/{moment.year} {moment:%H:%M}"
        return random.choice((epoch, slashed, f"{moment:%d.%m.%Y %H:%M:%S}", "TBD", None, "2099-01-01"))

    return roll


def amount(random: Random) -> str | None:
    written = random.choice(
        ("100", "33.33", "0", "0.01", "1000.07", "$2,500.00", "1e3", "1.234,56 €", "12k", "-5", None)
    )
    return written if random.random() < 0.4 else str(random.randrange(1, 100_000) / 100)


DOMAIN = one_of("alpha.example", "www.beta.example", "https://gamma.example/x", "delta.co.uk", "gmail.com", None, "n/a")
EMAIL = one_of(
    *(
        f"{person}@{domain}"
        for person in ("ann", "bob", "cy")
        for domain in ("alpha.example", "beta.example", "gamma.example")
    ),
    *("eve@gmail.com", "Ann@Alpha.example", "broken", None, "zoe@delta.co.uk"),
)
COMPANY = one_of("Alpha Freight", "ALPHA FREIGHT INC", "Beta &amp; Sons", "Gamma GmbH", None)
YES_OR_NO = one_of("true", "false", "1", "0", None, None, "maybe")
CURRENCY = one_of("USD", "USD", "USD", None, None, "EUR", "XXX")
BOOLEAN = one_of("true", "true", "false", None)

# table -> (first number, how many at the beginning)
RECORDS = {
    "hubspot_companies": (1, 5),
    "hubspot_contacts": (101, 14),
    "hubspot_deals": (201, 9),
    "hubspot_pipeline_stages": (301, 4),
    "hubspot_deal_stage_history": (0, 8),
    "hubspot_deal_companies": (0, 5),
    "hubspot_deal_contacts": (0, 6),
    "hubspot_web_visits": (1001, 110),
    "hubspot_form_submissions": (401, 8),
    "hubspot_email_events": (501, 12),
    "hubspot_email_campaigns": (601, 2),
    "salesforce_accounts": (1, 4),
    "salesforce_contacts": (1, 8),
    "salesforce_leads": (1, 6),
    "salesforce_opportunities": (1, 24),
    "salesforce_opportunity_history": (1, 12),
    "salesforce_campaigns": (1, 3),
    "salesforce_campaign_members": (1, 10),
    "salesforce_tasks": (1, 5),
    "hubspot_owners": (801, 3),
    "hubspot_contact_companies": (0, 6),
    "salesforce_opportunity_contact_roles": (1, 12),
    "salesforce_events": (1, 3),
    "salesforce_users": (1, 3),
    "billing_subscriptions": (701, 6),
}

# Key columns of tables without an id.
KEYS = {
    "hubspot_contact_companies": ("contact_id", "company_id"),
    "hubspot_deal_stage_history": ("deal_id", "entered_at"),
    "hubspot_deal_companies": ("deal_id", "company_id"),
    "hubspot_deal_contacts": ("deal_id", "contact_id"),
    "hubspot_contact_merges": ("surviving_id", "merged_id"),
    "hubspot_deal_merges": ("surviving_id", "merged_id"),
}
