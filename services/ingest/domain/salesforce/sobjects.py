"""Which Salesforce objects are read, into which RAW tables, and what an org's own description of one says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.ingest.domain.raw_schema import source_columns

# Object Reference, "Compound Fields": their parts are fields of their own. base64 can't be queried with other fields.
_UNREADABLE_TYPES: Final = frozenset({"address", "location", "base64"})
# When the integration user last looked at the record; says nothing about it, and moves without SystemModstamp.
_READERS_OWN: Final = frozenset({"LastViewedDate", "LastReferencedDate"})
# SOAP API guide, "Data Replication": SystemModstamp is also moved by automated processes, LastModifiedDate is not.
_CURSOR_FIELDS: Final = ("SystemModstamp", "LastModifiedDate", "CreatedDate")
_ID_LENGTHS: Final = (15, 18)
_CHECK_DIGITS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


@dataclass(frozen=True)
class SObject:
    """One object and its RAW table."""

    name: str
    table: str
    parent: tuple[str, str] | None = None
    """`(object, reference)`: records that come and go with another one, and may not say so themselves."""
    related: tuple[tuple[str, str], ...] = ()
    """`(object, reference)`: what is read again with a single record of this one."""
    own_columns: tuple[str, ...] = ()
    """RAW columns for which Salesforce has no field: each org names its own."""


SOBJECTS: Final[Mapping[str, SObject]] = {
    one.name: one
    for one in (
        SObject(
            "Account",
            "salesforce_accounts",
            related=(("Account", "MasterRecordId"),),
            own_columns=("fleet_size", "vehicle_type", "hubspot_company_id"),
        ),
        SObject("Contact", "salesforce_contacts", related=(("Contact", "MasterRecordId"),)),
        SObject("Lead", "salesforce_leads", related=(("Lead", "MasterRecordId"),)),
        SObject(
            "Opportunity",
            "salesforce_opportunities",
            related=(("OpportunityHistory", "OpportunityId"), ("OpportunityContactRole", "OpportunityId")),
        ),
        SObject("OpportunityHistory", "salesforce_opportunity_history", parent=("Opportunity", "OpportunityId")),
        SObject("OpportunityContactRole", "salesforce_opportunity_contact_roles"),
        SObject("Campaign", "salesforce_campaigns"),
        SObject("CampaignMember", "salesforce_campaign_members"),
        SObject("Task", "salesforce_tasks"),
        SObject("Event", "salesforce_events"),
        SObject("User", "salesforce_users"),
    )
}


@dataclass(frozen=True)
class Description:
    """What an org says of an object (REST API guide, "sObject Describe"), as far as the user may see it."""

    sobject: str
    types: Mapping[str, str]
    """Field -> type, of the fields that can be read, by name."""
    formulas: tuple[str, ...]
    """Fields whose value changes without the record's SystemModstamp."""
    is_replicateable: bool
    """sObject Get Deleted tells what was deleted."""

    @property
    def cursor(self) -> str:
        """The field that orders the changes."""
        return next(name for name in _CURSOR_FIELDS if name in self.types)

    @property
    def has_is_deleted(self) -> bool:
        return "IsDeleted" in self.types

    @property
    def hears_changes(self) -> bool:
        """A record that changes moves in the order; one that is only ever created doesn't."""
        return self.cursor != "CreatedDate"

    def only(self, fields: Sequence[str]) -> "Description":
        """As far as those fields go: what a statement of an earlier moment asked for."""
        types = {field: self.types.get(field, "string") for field in fields}
        formulas = tuple(field for field in self.formulas if field in types)
        return Description(self.sobject, types, formulas, self.is_replicateable)

    def columns(self, sobject: SObject) -> dict[str, str]:
        """RAW column -> the org's field, where it has one."""
        standard = {_plain(name): name for name in self.types if not name.endswith("__c")}
        own: dict[str, str] = {}
        for name in sorted((name for name in self.types if name.endswith("__c")), key=lambda name: name.count("__")):
            own.setdefault(_plain(name), name)
        fields = {}
        for column in source_columns(sobject.table):
            names = own if column in sobject.own_columns else standard
            if (field := names.get(column.replace("_", ""))) is not None:
                fields[column] = field
        return fields


def parse_description(answer: Any, sobject: str) -> Description:
    """Of the parsed JSON. Raises ValueError for one without readable fields, an Id or a moment to order by."""
    fields = answer.get("fields") if isinstance(answer, dict) else None
    if not isinstance(fields, list) or answer.get("queryable") is False:
        raise ValueError(f"{sobject} can't be queried")
    readable = {
        str(field["name"]): str(field.get("type", "string"))
        for field in fields
        if isinstance(field, dict)
        and "name" in field
        and field.get("type") not in _UNREADABLE_TYPES
        and not field.get("deprecatedAndHidden")
        and field["name"] not in _READERS_OWN
    }
    if "Id" not in readable or not any(name in readable for name in _CURSOR_FIELDS):
        raise ValueError(f"{sobject} has no Id, or none of {', '.join(_CURSOR_FIELDS)}, that may be read")
    formulas = sorted(
        str(field["name"])
        for field in fields
        if isinstance(field, dict) and field.get("calculated") and field.get("name") in readable
    )
    return Description(
        sobject, dict(sorted(readable.items())), tuple(formulas), bool(answer.get("replicateable", False))
    )


def to_long_id(id: str) -> str:
    """18 characters: to the 15 of the user interface, three that tell the case of the others (Help, 000385585).

    Raises:
        ValueError: it is no Salesforce id.
    """
    if len(id) not in _ID_LENGTHS or not id.isascii() or not id.isalnum():
        raise ValueError(f"{id!r} is no Salesforce id: it has 15 or 18 letters and digits")
    groups = (id[0:5], id[5:10], id[10:15])
    cases = (sum(1 << place for place, letter in enumerate(group) if letter.isupper()) for group in groups)
    return id[:15] + "".join(_CHECK_DIGITS[case] for case in cases)


def _plain(field: str) -> str:
    """`ns__Fleet_Size__c` and `FleetSize__c` are both `fleetsize`."""
    return field.removesuffix("__c").rpartition("__")[2].replace("_", "").lower()
