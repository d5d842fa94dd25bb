"""Which property of a HubSpot object becomes which RAW column, and what hangs on the object."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from services.ingest.domain.raw_schema import source_columns


@dataclass(frozen=True)
class Link:
    """Associations of an object as a RAW table: one row a pair."""

    far: str
    table: str
    near_column: str
    far_column: str

    @property
    def has_label(self) -> bool:
        """The table keeps what the association is called."""
        return "label" in source_columns(self.table)


@dataclass(frozen=True)
class CrmObject:
    """A kind of CRM record."""

    name: str
    table: str
    modified: str
    """The property that says when a record last changed. `lastmodifieddate` for contacts, `hs_lastmodifieddate` for all
    others: a search by the wrong one finds nothing and says nothing (airbytehq/airbyte pull request 85019)."""
    renamed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """RAW column -> properties; the first that has a value counts. Other columns are named as their property is."""
    links: tuple[Link, ...] = ()
    stage_property: str | None = None
    """Its history becomes rows of `hubspot_deal_stage_history`."""
    merges_table: str | None = None

    @property
    def columns(self) -> dict[str, tuple[str, ...]]:
        """RAW column -> properties, without `id`, which is the record's own."""
        return {name: self.renamed.get(name, (name,)) for name in source_columns(self.table) if name != "id"}

    @property
    def needed(self) -> tuple[str, ...]:
        """Properties that RAW columns take, and what finds merges."""
        own = [name for names in self.columns.values() for name in names]
        return tuple(dict.fromkeys([*own, self.modified, "hs_merged_object_ids", "hs_calculated_merged_vids"]))


HISTORY_TABLE: Final = "hubspot_deal_stage_history"
PROPERTIES_TABLE: Final = "hubspot_properties"

# The Salesforce connector's properties: knowledge.hubspot.com/salesforce/how-hubspot-maps-salesforce-...; those without
# an underscore are the connector's, the others what companies call their own.
CRM_OBJECTS: Final[dict[str, CrmObject]] = {
    one.name: one
    for one in (
        CrmObject(
            "companies",
            "hubspot_companies",
            "hs_lastmodifieddate",
            {"salesforce_account_id": ("salesforceaccountid", "salesforce_account_id")},
        ),
        CrmObject(
            "contacts",
            "hubspot_contacts",
            "lastmodifieddate",
            {
                "company_id": ("associatedcompanyid",),
                "salesforce_contact_id": ("salesforcecontactid", "salesforce_contact_id"),
                "salesforce_lead_id": ("salesforceleadid", "salesforce_lead_id"),
            },
            links=(Link("companies", "hubspot_contact_companies", "contact_id", "company_id"),),
            merges_table="hubspot_contact_merges",
        ),
        CrmObject(
            "deals",
            "hubspot_deals",
            "hs_lastmodifieddate",
            {
                "company_id": ("hs_primary_associated_company", "associatedcompanyid"),
                "owner_id": ("hubspot_owner_id",),
                "salesforce_opportunity_id": ("salesforceopportunityid", "salesforce_opportunity_id"),
            },
            links=(
                Link("companies", "hubspot_deal_companies", "deal_id", "company_id"),
                Link("contacts", "hubspot_deal_contacts", "deal_id", "contact_id"),
            ),
            stage_property="dealstage",
            merges_table="hubspot_deal_merges",
        ),
    )
}
