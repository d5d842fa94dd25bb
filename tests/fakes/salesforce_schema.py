"""The objects of the fake org and their fields, as sObject Describe gives them (REST API guide, "sObject Describe")."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class FakeField:
    """One field of an object."""

    name: str
    type: str = "string"
    is_calculated: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "type": self.type,
            "label": self.name.removesuffix("__c").replace("_", " "),
            "calculated": self.is_calculated,
            "custom": self.name.endswith("__c"),
            "filterable": self.type not in ("textarea", "base64"),
            "sortable": self.type not in ("textarea", "base64"),
            "deprecatedAndHidden": False,
            "nillable": True,
            "length": 255,
        }


@dataclass(frozen=True)
class FakeObject:
    """One object. `is_allowed`: the integration user may read it."""

    name: str
    prefix: str
    fields: tuple[FakeField, ...]
    is_replicateable: bool = True
    has_recycle_bin: bool = True
    is_allowed: bool = True

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "keyPrefix": self.prefix,
            "queryable": True,
            "replicateable": self.is_replicateable,
            "retrieveable": True,
            "fields": [field.to_json() for field in self.fields],
        }


_SYSTEM = "Id:id IsDeleted:boolean CreatedDate:datetime SystemModstamp:datetime"


def _fields(text: str) -> tuple[FakeField, ...]:
    """`Name`, `Name:type` or, for a formula, `Name:type=`."""
    parsed = []
    for part in text.split():
        name, _, type = part.partition(":")
        parsed.append(FakeField(name, type.rstrip("=") or "string", type.endswith("=")))
    return tuple(parsed)


OBJECTS = (
    FakeObject(
        "Account",
        "001",
        _fields(
            f"{_SYSTEM} MasterRecordId:reference Name Website:url Industry:picklist Type:picklist BillingCity "
            "BillingState BillingCountry BillingAddress:address NumberOfEmployees:int AnnualRevenue:currency "
            "Fleet_Size__c:double HubSpot_Company_Id__c OwnerId:reference Description:textarea Score__c:double= "
            "LastModifiedDate:datetime LastViewedDate:datetime Where__c:location"
        ),
    ),
    FakeObject(
        "Contact",
        "003",
        _fields(
            f"{_SYSTEM} MasterRecordId:reference AccountId:reference Email:email FirstName LastName Title Phone:phone "
            "LeadSource:picklist MailingAddress:address DoNotCall:boolean"
        ),
    ),
    FakeObject(
        "Lead",
        "00Q",
        _fields(
            f"{_SYSTEM} MasterRecordId:reference Email:email FirstName LastName Company Title Phone:phone Website:url "
            "Country Industry:picklist NumberOfEmployees:int AnnualRevenue:currency Status:picklist "
            "LeadSource:picklist IsConverted:boolean ConvertedDate:date ConvertedAccountId:reference "
            "ConvertedContactId:reference ConvertedOpportunityId:reference OwnerId:reference"
        ),
    ),
    FakeObject(
        "Opportunity",
        "006",
        _fields(
            f"{_SYSTEM} AccountId:reference Name Amount:currency CurrencyIsoCode:picklist StageName:picklist "
            "Type:picklist LeadSource:picklist Probability:percent IsClosed:boolean IsWon:boolean CloseDate:date "
            "OwnerId:reference CampaignId:reference"
        ),
    ),
    # Its SystemModstamp can't be asked for by every API version and edition: here it has none, so CreatedDate it is.
    FakeObject(
        "OpportunityHistory",
        "008",
        _fields(
            "Id:id IsDeleted:boolean CreatedDate:datetime OpportunityId:reference StageName:picklist Amount:currency "
            "Probability:percent CloseDate:date"
        ),
    ),
    # Object Reference: deleted ones skip the recycle bin.
    FakeObject(
        "OpportunityContactRole",
        "00K",
        _fields(f"{_SYSTEM} OpportunityId:reference ContactId:reference Role:picklist IsPrimary:boolean"),
        has_recycle_bin=False,
    ),
    FakeObject(
        "Campaign",
        "701",
        _fields(
            f"{_SYSTEM} Name Type:picklist Status:picklist StartDate:date EndDate:date BudgetedCost:currency "
            "ActualCost:currency CurrencyIsoCode:picklist IsActive:boolean"
        ),
    ),
    FakeObject(
        "CampaignMember",
        "00v",
        _fields(
            f"{_SYSTEM} CampaignId:reference LeadId:reference ContactId:reference Status:picklist "
            "HasResponded:boolean FirstRespondedDate:date"
        ),
        has_recycle_bin=False,
    ),
    FakeObject(
        "Task",
        "00T",
        _fields(
            f"{_SYSTEM} AccountId:reference WhatId:reference WhoId:reference OwnerId:reference Subject Type:picklist "
            "Status:picklist IsClosed:boolean ActivityDate:date CompletedDateTime:datetime IsArchived:boolean"
        ),
    ),
    FakeObject(
        "Event",
        "00U",
        _fields(
            f"{_SYSTEM} AccountId:reference WhatId:reference WhoId:reference OwnerId:reference Subject Type:picklist "
            "ActivityDateTime:datetime DurationInMinutes:int"
        ),
    ),
    # A user can't be deleted, so it has no IsDeleted.
    FakeObject(
        "User",
        "005",
        _fields(
            "Id:id CreatedDate:datetime SystemModstamp:datetime Name Email:email Title Department IsActive:boolean "
            "UserRoleId:reference"
        ),
    ),
)
