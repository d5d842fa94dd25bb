"""What can happen to an org and to a network, drawn from a seed: people at work, faults, killed syncs."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.fakes.salesforce import Call, FakeSalesforce
from tests.fakes.salesforce_org import Org
from tests.fakes.salesforce_rest import FAULTS, Reply
from tests.fakes.salesforce_schema import FakeField

OBJECTS = ("Account", "Contact", "Opportunity", "OpportunityHistory", "OpportunityContactRole", "User")


class Killed(BaseException):
    """The worker died here."""


@dataclass
class Weather:
    """All of it is off until `blows`. The org's clock moves by whole seconds, often by none."""

    salesforce: FakeSalesforce
    random: random.Random
    blows: bool = False
    fault_share: float = 0.1
    work_share: float = 0.3
    kill_share: float = 0.01
    _fields: int = 0
    _expired_at: int = 0
    _work: list[Callable[[], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.salesforce.faults = self._fault
        self.salesforce.on_request = self._interrupt
        self.salesforce.partial = lambda rows: self.random.randint(1, rows) if self.blows else rows
        self._work = [
            self._insert,
            self._insert,
            self._update,
            self._update,
            self._update,
            self._delete,
            self._undelete,
            self._purge,
            self._merge,
            self._leave,
            self._change_fields,
        ]

    @property
    def org(self) -> Org:
        return self.salesforce.org

    def work(self, steps: int) -> None:
        """So many things that people do."""
        for _ in range(steps):
            self.random.choice(self._work)()
            if self.random.random() < 0.4:
                self.org.tick(self.random.choice((1, 1, 2, 70)))

    def _insert(self) -> None:
        accounts = self.org.alive("Account")
        name = f"name {self.random.randrange(1_000)}"
        match self.random.choice(OBJECTS):
            case "Contact" if accounts:
                self.org.insert("Contact", AccountId=self.random.choice(accounts), LastName=name)
            case "Opportunity" if accounts:
                self.org.insert("Opportunity", AccountId=self.random.choice(accounts), Name=name, StageName="New")
            case "OpportunityContactRole" if self.org.alive("Opportunity"):
                deal = self.random.choice(self.org.alive("Opportunity"))
                self.org.insert("OpportunityContactRole", OpportunityId=deal, Role=name)
            case "User":
                self.org.insert("User", Name=name)
            case _:
                for _ in range(self.random.choice((1, 1, 12))):  # an import: many with one stamp
                    self.org.insert("Account", Name=name)

    def _update(self) -> None:
        sobject = self.random.choice(("Account", "Contact", "Opportunity", "OpportunityContactRole"))
        alive = self.org.alive(sobject)
        changed = {"Opportunity": "StageName", "OpportunityContactRole": "Role", "Contact": "Title"}.get(
            sobject, "Name"
        )
        for id in self.random.sample(alive, min(len(alive), self.random.choice((1, 1, 9)))):
            self.org.update(sobject, id, **{changed: f"changed {self.random.randrange(1_000)}"})

    def _delete(self) -> None:
        sobject = self.random.choice(("Account", "Contact", "Opportunity", "OpportunityContactRole"))
        if alive := self.org.alive(sobject):
            self.org.delete(sobject, self.random.choice(alive))

    def _undelete(self) -> None:
        sobject = self.random.choice(("Account", "Opportunity"))
        if binned := [one["Id"] for one in self.org.all(sobject) if one["IsDeleted"]]:
            self.org.undelete(sobject, self.random.choice(binned))

    def _purge(self) -> None:
        sobject = self.random.choice(("Account", "Opportunity"))
        if known := [one["Id"] for one in self.org.all(sobject)]:
            self.org.purge(sobject, self.random.choice(known))

    def _merge(self) -> None:
        alive = self.org.alive("Account")
        if len(alive) > 1:
            self.org.merge("Account", *self.random.sample(alive, 2))

    def _leave(self) -> None:
        """Time passes, by days now and then; or the delete log is cut short."""
        match self.random.randrange(12):
            case 0:
                self.org.tick(days=20)
            case 1:
                self.org.forget_deletions("Account")
            case _:
                self.org.tick(3_600)

    def _change_fields(self) -> None:
        if self.random.random() < 0.7:
            return
        self._fields += 1
        self.org.add_field("Account", FakeField(f"Extra_{self._fields}__c"))
        if self._fields % 2:
            self.org.remove_field("Account", f"Extra_{self._fields - 1}__c")

    def _fault(self, call: Call) -> Reply | None:
        if not self.blows or not call.is_data or self.random.random() >= self.fault_share:
            return None
        kind = self.random.choice([*FAULTS, "expired", "lost"])
        if kind == "expired":
            if len(self.salesforce.calls) > self._expired_at + 10:  # a second 401 of one call is an answer, too
                self.salesforce.login.expire_all()
                self._expired_at = len(self.salesforce.calls)
            return None
        if kind == "lost":
            self.salesforce.forget_cursors()
            if self.random.random() < 0.3:
                self.salesforce.bulk.jobs.clear()
        return FAULTS.get(kind)

    def _interrupt(self, call: Call) -> None:
        if self.blows and self.random.random() < self.work_share:
            self.work(1)
