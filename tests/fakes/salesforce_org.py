"""What a Salesforce org holds and what people do to it: records, a recycle bin, a delete log, fields, a clock.

The clock is the org's own and stands still until `tick`: SystemModstamp has whole seconds, so runs of equal stamps are
easily made. Quirks are those of the Object Reference and of "Data Replication" in the SOAP API guide.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.fakes.salesforce_schema import OBJECTS, FakeField, FakeObject

Record = dict[str, Any]
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHECK_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


def to_stamp(moment: datetime) -> str:
    """As REST writes a datetime."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000+0000")


def to_id(prefix: str, number: int) -> str:
    """An 18-character id: the last three tell the case of the first fifteen."""
    digits = ""
    while number:
        number, digit = divmod(number, 62)
        digits = _DIGITS[digit] + digits
    short = prefix + digits.rjust(12, "0")
    groups = (short[at : at + 5] for at in (0, 5, 10))
    return short + "".join(
        _CHECK_DIGITS[sum(1 << bit for bit, letter in enumerate(group) if letter.isupper())] for group in groups
    )


@dataclass(frozen=True)
class Deletion:
    """An entry of the delete log."""

    sobject: str
    id: str
    at: datetime


@dataclass
class Org:
    """One org. `now` is UTC with whole seconds."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    objects: dict[str, FakeObject] = field(default_factory=lambda: {one.name: one for one in OBJECTS})
    records: dict[str, dict[str, Record]] = field(default_factory=dict)
    deletions: list[Deletion] = field(default_factory=list)
    log_begins: dict[str, datetime] = field(default_factory=dict)
    """Per object: what was deleted before is no longer in the delete log."""
    _numbers: Iterator[int] = field(default_factory=lambda: iter(range(1, 1 << 40)))

    def tick(self, seconds: float = 1, *, days: float = 0) -> None:
        """Let time pass. What has lain in the recycle bin for 15 days is gone for good, and out of the log."""
        self.now += timedelta(seconds=seconds, days=days)
        gone = [one for one in self.deletions if one.at < self.now - timedelta(days=15)]
        for one in gone:
            self.records[one.sobject].pop(one.id, None)
            self.deletions.remove(one)
            self.log_begins[one.sobject] = max(one.at, self.log_begins.get(one.sobject, one.at))

    def all(self, sobject: str) -> list[Record]:
        """What queryAll sees: the recycle bin included."""
        return list(self.records.get(sobject, {}).values())

    def alive(self, sobject: str) -> list[str]:
        return [one["Id"] for one in self.all(sobject) if not one["IsDeleted"]]

    def insert(self, sobject: str, **values: Any) -> str:
        kind = self.objects[sobject]
        id = to_id(kind.prefix, next(self._numbers))
        stamp = to_stamp(self.now)
        common = {"Id": id, "IsDeleted": False, "CreatedDate": stamp, "SystemModstamp": stamp}
        self.records.setdefault(sobject, {})[id] = common | values
        if sobject == "Opportunity":
            self._write_history(id)
        return id

    def update(self, sobject: str, id: str, **values: Any) -> None:
        record = self.records[sobject][id]
        record |= values | {"SystemModstamp": to_stamp(self.now)}
        if sobject == "Opportunity" and "StageName" in values:
            self._write_history(id)

    def set_silently(self, sobject: str, id: str, **values: Any) -> None:
        """A formula's value changes with what it is made of: SystemModstamp stays."""
        self.records[sobject][id] |= values

    def delete(self, sobject: str, id: str, *, master: str | None = None) -> None:
        """To the recycle bin with the children; objects without one lose the record at once."""
        if not self.objects[sobject].has_recycle_bin:
            return self.purge(sobject, id)
        self.records[sobject][id] |= {"IsDeleted": True, "SystemModstamp": to_stamp(self.now)}
        if master is not None:
            self.records[sobject][id]["MasterRecordId"] = master
        self._log(sobject, id)
        if sobject == "Opportunity":
            self._delete_children(id)
        return None

    def undelete(self, sobject: str, id: str) -> None:
        self.records[sobject][id] |= {"IsDeleted": False, "SystemModstamp": to_stamp(self.now)}
        self.deletions = [one for one in self.deletions if one.id != id]
        if sobject == "Opportunity":
            for child in self.all("OpportunityHistory"):
                if child["OpportunityId"] == id and child["IsDeleted"]:
                    child["IsDeleted"] = False
                    self.deletions = [one for one in self.deletions if one.id != child["Id"]]

    def purge(self, sobject: str, id: str) -> None:
        """Gone for good, without a place in the recycle bin (hardDelete, or an emptied bin)."""
        del self.records[sobject][id]
        self.deletions = [one for one in self.deletions if one.id != id]
        self._log(sobject, id)
        if sobject == "Opportunity":
            self._delete_children(id)

    def merge(self, sobject: str, master: str, loser: str) -> None:
        """The loser goes to the recycle bin and names its master; its children get a new parent."""
        self.delete(sobject, loser, master=master)
        self.records[sobject][master]["SystemModstamp"] = to_stamp(self.now)
        if sobject == "Account":
            for contact in self.all("Contact"):
                if contact.get("AccountId") == loser:
                    self.update("Contact", contact["Id"], AccountId=master)

    def forget_deletions(self, sobject: str) -> None:
        """The background process cuts the delete log short: it begins now."""
        self.deletions = [one for one in self.deletions if one.sobject != sobject]
        self.log_begins[sobject] = self.now

    def add_field(self, sobject: str, added: FakeField) -> None:
        kind = self.objects[sobject]
        self.objects[sobject] = replace(kind, fields=(*kind.fields, added))

    def remove_field(self, sobject: str, name: str) -> None:
        kind = self.objects[sobject]
        self.objects[sobject] = replace(kind, fields=tuple(one for one in kind.fields if one.name != name))
        for record in self.all(sobject):
            record.pop(name, None)

    def set_object(self, sobject: str, **changes: Any) -> None:
        self.objects[sobject] = replace(self.objects[sobject], **changes)

    def _log(self, sobject: str, id: str) -> None:
        self.deletions.append(Deletion(sobject, id, self.now))

    def _write_history(self, id: str) -> None:
        deal = self.records["Opportunity"][id]
        copied = {name: deal.get(name) for name in ("StageName", "Amount", "Probability", "CloseDate")}
        self.insert("OpportunityHistory", OpportunityId=id, **copied)

    def _delete_children(self, opportunity: str) -> None:
        for sobject in ("OpportunityHistory", "OpportunityContactRole"):
            for child in self.all(sobject):
                if child.get("OpportunityId") == opportunity and not child["IsDeleted"]:
                    self.delete(sobject, child["Id"])
