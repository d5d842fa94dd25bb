"""Words that the generator draws from. Faker makes the people's names once per seed; nothing is faked row by row."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from faker import Faker

from services.ingest.domain.mock.arrays import Texts

# industry -> (share of the market, pull of fit, median vehicles multiplier, company name endings, vehicle types)
INDUSTRIES: Final[dict[str, tuple[float, float, float, tuple[str, ...], tuple[str, ...]]]] = {
    "construction": (0.17, 0.8, 1.2, ("Construction", "Builders", "Civil Works"), ("heavy_equipment", "trucks")),
    "logistics": (0.18, 1.0, 1.8, ("Logistics", "Freight", "Haulage & Storage"), ("trucks", "vans")),
    "field_services": (0.14, 0.7, 1.0, ("Field Services", "Heating & Cooling", "Facilities"), ("vans", "mixed")),
    "utilities": (0.07, 0.6, 1.6, ("Utilities", "Water", "Grid Services"), ("mixed", "trucks")),
    "food_and_beverage": (0.09, 0.3, 1.0, ("Foods", "Bakeries", "Beverages & Co"), ("vans", "trucks")),
    "public_sector": (0.06, 0.1, 1.3, ("County Transport", "City Works"), ("mixed", "cars")),
    "agriculture": (0.07, 0.1, 0.8, ("Farms", "Grain & Seed"), ("heavy_equipment", "mixed")),
    "retail": (0.10, -0.4, 0.7, ("Stores", "Home & Garden"), ("vans", "cars")),
    "software": (0.07, -1.3, 0.15, ("Software", "Data Labs"), ("cars",)),
    "other": (0.05, -0.7, 0.4, ("Group", "Partners"), ("cars", "mixed")),
}

# region -> (share of the market, pull of fit, (city, state, country)...)
REGIONS: Final[dict[str, tuple[float, float, tuple[tuple[str, str, str], ...]]]] = {
    "north_america": (
        0.52,
        0.3,
        (
            ("Dallas", "TX", "United States"),
            ("Columbus", "OH", "United States"),
            ("Denver", "CO", "United States"),
            ("Atlanta", "GA", "United States"),
            ("Toronto", "ON", "Canada"),
        ),
    ),
    "europe": (
        0.30,
        0.1,
        (
            ("Hamburg", "Hamburg", "Germany"),
            ("Leeds", "England", "United Kingdom"),
            ("Lyon", "Auvergne-Rhone-Alpes", "France"),
            ("Utrecht", "Utrecht", "Netherlands"),
        ),
    ),
    "asia_pacific": (0.11, -0.3, (("Brisbane", "QLD", "Australia"), ("Singapore", "", "Singapore"))),
    "latin_america": (0.07, -0.4, (("Monterrey", "NL", "Mexico"), ("Curitiba", "PR", "Brazil"))),
}

JOB_TITLES: Final[tuple[str, ...]] = (
    "Fleet Manager",
    "Director of Operations",
    "VP Operations",
    "Head of Transport",
    "Chief Financial Officer",
    "Safety and Compliance Manager",
    "Procurement Manager",
    "IT Manager",
    "Dispatcher",
    "Owner",
)

# channel -> (share of visits, referrer, utm_source, utm_medium, campaigns)
CHANNELS: Final[dict[str, tuple[float, str | None, str | None, str | None, tuple[str, ...]]]] = {
    "paid_search": (0.18, "https://www.google.com/", "google", "cpc", ("fleet-tracking", "gps-fleet", "brand")),
    "organic_search": (0.27, "https://www.google.com/", None, None, ()),
    "paid_social": (0.12, "https://www.linkedin.com/", "linkedin", "paid_social", ("ops-leaders", "safety-report")),
    "email": (0.14, None, "hubspot", "email", ("newsletter", "webinar-invite", "trial-nurture")),
    "direct": (0.19, None, None, None, ()),
    "referral": (0.10, "https://fleet-review.example/best-fleet-software", None, None, ()),
}

HIGH_INTENT_PAGES: Final = (("/pricing", "Pricing"), ("/demo", "Book a demo"), ("/integrations", "Integrations"))
OTHER_PAGES: Final = (
    ("/", "Fleet software"),
    ("/blog/cut-fuel-costs", "Blog: Cut fuel costs"),
    ("/blog/driver-safety", "Blog: Driver safety"),
    ("/customers", "Customers"),
    ("/product/telematics", "Telematics"),
    ("/careers", "Careers"),
)
SITE: Final = "https://www.routepilot.example"


@dataclass(frozen=True)
class People:
    """Names of people, and surnames for companies."""

    first_names: Texts
    last_names: Texts


def build_people(seed: int) -> People:
    """Pools of 200 and 400 names; the same for a seed while Faker's pinned version stays."""
    faker = Faker("en_US")
    faker.seed_instance(seed)
    first = [faker.first_name() for _ in range(200)]
    last = [faker.last_name() for _ in range(400)]
    return People(np.array(first, dtype=object), np.array(last, dtype=object))
