"""Where in each table a defect may strike."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class DirtyPlaces:
    """Columns of a table. `stamp` is the source's own change time; without one, nothing has versions."""

    stamp: str | None
    dates: tuple[str, ...]
    ids: tuple[str, ...]
    names: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    money: tuple[str, ...] = ()
    versioned: str | None = None
    """What differs between two versions of a record: a number or a job title. None: such records never change."""
    may_be_late: bool = False
    flags: tuple[str, ...] = ()
    currency: str | None = None
    day_first: bool = False
    """The system's people write the day before the month."""
    key: tuple[str, ...] = ("id",)

    @property
    def columns(self) -> tuple[str, ...]:
        """All that a defect touches or looks at, without repeats."""
        singles = filter(None, (self.stamp, self.versioned, self.currency))
        groups = (self.key, self.dates, self.ids, self.names, self.words, self.money, self.flags)
        return tuple(dict.fromkeys((*singles, *(name for group in groups for name in group))))


PLACES: Final[dict[str, DirtyPlaces]] = {
    "hubspot_companies": DirtyPlaces(
        "hs_lastmodifieddate",
        ("createdate", "hs_lastmodifieddate"),
        ("id",),
        ("name",),
        ("domain", "country", "industry", "vehicle_type"),
        ("annualrevenue",),
        "numberofemployees",
    ),
    "hubspot_contacts": DirtyPlaces(
        "lastmodifieddate",
        ("createdate", "lastmodifieddate"),
        ("id", "company_id"),
        ("company",),
        ("email", "jobtitle"),
        versioned="jobtitle",
    ),
    "hubspot_web_visits": DirtyPlaces(
        "occurred_at", ("occurred_at",), ("id", "contact_id"), (), ("utm_source", "utm_medium"), may_be_late=True
    ),
    "salesforce_accounts": DirtyPlaces(
        "system_modstamp",
        ("created_date", "system_modstamp"),
        ("id",),
        ("name",),
        ("website", "industry", "billing_country"),
        ("annual_revenue",),
        "number_of_employees",
    ),
    "salesforce_contacts": DirtyPlaces(
        "system_modstamp",
        ("created_date", "system_modstamp"),
        ("id", "account_id"),
        ("last_name",),
        ("email", "title"),
        versioned="title",
    ),
    "salesforce_opportunities": DirtyPlaces(
        "system_modstamp",
        ("close_date", "created_date", "system_modstamp"),
        ("id", "account_id"),
        ("name",),
        ("stage_name",),
        ("amount",),
        "amount",
        flags=("is_closed", "is_won"),
        currency="currency_iso_code",
    ),
    "salesforce_opportunity_history": DirtyPlaces(
        "created_date", ("close_date", "created_date"), ("id", "opportunity_id"), (), ("stage_name",), ("amount",)
    ),
    "hubspot_pipeline_stages": DirtyPlaces(None, (), ()),
    "hubspot_deals": DirtyPlaces(
        "hs_lastmodifieddate",
        ("closedate", "createdate", "hs_lastmodifieddate"),
        ("id", "company_id"),
        ("dealname",),
        ("dealtype",),
        ("amount",),
        "amount",
        flags=("hs_is_closed", "hs_is_closed_won"),
        currency="deal_currency_code",
    ),
    "hubspot_deal_stage_history": DirtyPlaces(
        "entered_at", ("entered_at",), ("deal_id",), key=("deal_id", "entered_at")
    ),
    "hubspot_deal_companies": DirtyPlaces(None, (), ("deal_id", "company_id"), key=("deal_id", "company_id")),
    "hubspot_deal_contacts": DirtyPlaces(None, (), ("deal_id", "contact_id"), key=("deal_id", "contact_id")),
    "hubspot_deal_merges": DirtyPlaces(
        "merged_at", ("merged_at",), ("surviving_id", "merged_id"), key=("surviving_id", "merged_id")
    ),
    "hubspot_contact_merges": DirtyPlaces(
        "merged_at", ("merged_at",), ("surviving_id", "merged_id"), key=("surviving_id", "merged_id")
    ),
    "hubspot_form_submissions": DirtyPlaces(
        "submitted_at", ("submitted_at",), ("id", "contact_id"), ("form_name",), may_be_late=True
    ),
    "hubspot_email_campaigns": DirtyPlaces(None, (), ("id",), ("name", "subject")),
    "hubspot_email_events": DirtyPlaces(
        "occurred_at",
        ("occurred_at",),
        ("id", "email_campaign_id"),
        (),
        ("event_type", "recipient"),
        may_be_late=True,
        flags=("is_filtered",),
    ),
    "salesforce_leads": DirtyPlaces(
        "system_modstamp",
        ("converted_date", "created_date", "system_modstamp"),
        ("id", "converted_account_id"),
        ("company",),
        ("email", "website", "industry", "country"),
        ("annual_revenue",),
        "title",
        flags=("is_converted",),
    ),
    "salesforce_campaigns": DirtyPlaces(
        "system_modstamp",
        ("start_date", "end_date", "created_date", "system_modstamp"),
        ("id",),
        ("name",),
        ("type", "status"),
        ("budgeted_cost", "actual_cost"),
        flags=("is_active",),
        currency="currency_iso_code",
    ),
    "salesforce_campaign_members": DirtyPlaces(
        "system_modstamp",
        ("first_responded_date", "created_date", "system_modstamp"),
        ("id", "campaign_id", "contact_id"),
        (),
        ("status",),
        flags=("has_responded",),
    ),
    "salesforce_tasks": DirtyPlaces(
        "system_modstamp",
        ("activity_date", "completed_date_time", "created_date", "system_modstamp"),
        ("id", "account_id", "what_id"),
        ("subject",),
        ("status", "type"),
        flags=("is_closed",),
    ),
    "billing_subscriptions": DirtyPlaces(
        None,
        ("started_at", "ended_at"),
        ("id", "salesforce_account_id"),
        (),
        ("customer_domain", "plan"),
        ("arr",),
        currency="currency",
        day_first=True,
    ),
}
