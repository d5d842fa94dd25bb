"""Two CRMs, a web site and a billing system in miniature, where everything that can change does, at random."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from random import Random

import pyarrow as pa

from services.ingest.domain.batches import build_batch
from services.ingest.domain.raw_schema import RAW_TABLE_NAMES, source_columns
from services.ingest.domain.sources import SourceBatch
from tests.dbt.load_rows import ROLLS
from tests.dbt.load_values import KEYS, RECORDS, salesforce_id

Record = dict[str, str | None]


class World:
    """The records as their sources hold them, and what changed since the last load. One seed, one history."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.records: dict[str, dict[str, Record]] = {table: {} for table in RAW_TABLE_NAMES}
        self.deleted: dict[str, set[str]] = {table: set() for table in RAW_TABLE_NAMES}
        self._changed: list[tuple[str, str, Record, bool, datetime | None]] = []
        self._clock = datetime(2026, 2, 1)

    def fill(self) -> None:
        """A first state of every table."""
        for table, (first, count) in RECORDS.items():
            for number in range(first, first + count):
                if self.random.random() < 0.85:
                    self._create(table, number)

    def happen(self) -> str:
        """One thing happens. Returns what, for the report."""
        kinds = [kind for kind, weight in _HAPPENINGS.items() for _ in range(weight)]
        return kinds[self.random.randrange(len(kinds))](self)

    def take_changes(self) -> list[SourceBatch]:
        """What a sync would read: every version since the last one, in any order; an unchanged record now and then."""
        rows, self._changed = self._changed, []
        self.random.shuffle(rows)
        tables = dict.fromkeys(table for table, *_ in rows)
        return [SourceBatch(table, _to_batch(table, [row[1:] for row in rows if row[0] == table])) for table in tables]

    def _create(self, table: str, number: int) -> str:
        record = {column: roll(self.random) for column, roll in ROLLS[table].items()}
        key = KEYS.get(table, ("id",))
        if key == ("id",):
            is_salesforce = table.startswith("salesforce")
            record["id"] = salesforce_id(table, number, self.random) if is_salesforce else str(number)
        name = "|".join(str(record[column]) for column in key)
        self._put(table, name, record)
        return f"{table} {name} created"

    def _put(self, table: str, name: str, values: Mapping[str, str | None], deleted: bool | None = None) -> None:
        record = self.records[table].setdefault(name, {})
        record.update(values)
        if deleted is not None:
            (self.deleted[table].add if deleted else self.deleted[table].discard)(name)
        self._clock += timedelta(seconds=self.random.choice((0, 1, 60)))
        stamp = None if self.random.random() < 0.1 else self._clock
        self._changed.append((table, name, dict(record), name in self.deleted[table], stamp))

    def _pick(self, table: str) -> str | None:
        names = list(self.records[table])
        return self.random.choice(names) if names else None

    def create(self) -> str:
        """A record nobody has seen, or a new version of all of one."""
        table = self.random.choice(_LIVELY)
        first, count = RECORDS[table]
        return self._create(table, first + self.random.randrange(count * 3))

    def correct(self, table: str | None = None) -> str:
        """Some columns of a record change: amounts, dates, stages, owners of visits, companies of contacts, domains."""
        table = table or self.random.choice(_LIVELY)
        name = self._pick(table)
        if name is None:
            return "nothing to correct"
        fixed = (*KEYS.get(table, ()), "id")
        columns = [column for column in ROLLS[table] if column not in fixed]
        chosen = self.random.sample(columns, min(len(columns), self.random.randint(1, 3)))
        changes = {column: ROLLS[table][column](self.random) for column in chosen}
        self._put(table, name, changes)
        return f"{table} {name} corrected: {changes}"

    def delete_or_restore(self) -> str:
        """A record is deleted, or comes back."""
        table = self.random.choice(_LIVELY)
        gone = sorted(self.deleted[table])
        name = self.random.choice(gone) if gone and self.random.random() < 0.5 else self._pick(table)
        if name is None:
            return "nothing to delete"
        deleted = name not in self.deleted[table]
        self._put(table, name, {}, deleted)
        return f"{table} {name} {'deleted' if deleted else 'restored'}"

    def renegotiate(self) -> str:
        """One thing of an opportunity changes: its amount, its outcome, its close."""
        table = self.random.choice(("salesforce_opportunities", "salesforce_opportunities", "hubspot_deals"))
        name = self._pick(table)
        if name is None:
            return "nothing to negotiate"
        changes = dict(self.random.choice(_DEALINGS[table]))
        changes = {column: value or ROLLS[table][column](self.random) for column, value in changes.items()}
        self._put(table, name, changes)
        return f"{table} {name} renegotiated: {changes}"

    def merge(self) -> str:
        """Two records of a kind become one, as their CRM writes it down."""
        table = self.random.choice(list(_MERGES))
        survivor, merged = self._pick(table), self._pick(table)
        if survivor is None or merged is None or survivor == merged:
            return "nothing to merge"
        if table.startswith("salesforce"):
            self._put(table, merged, {"master_record_id": survivor}, True)
        else:
            self._put(table, merged, {}, True)
            self._put(table, survivor, {"hs_merged_object_ids": merged})
        if log := _MERGES[table]:
            record = {"surviving_id": survivor, "merged_id": merged, "merged_at": "2026-02-01T00:00:00Z"}
            self._put(log, f"{survivor}|{merged}", record)
        return f"{table} {merged} merged into {survivor}"

    def retag(self) -> str:
        """The links of a campaign were tagged wrong: visits change their channel, and nothing else."""
        names = list(self.records["hubspot_web_visits"])
        names = self.random.sample(names, min(len(names), 5))
        tags = dict(self.random.choice(_TAGS))
        for name in names:
            self._put("hubspot_web_visits", name, tags)
        return f"visits {', '.join(names)} retagged: {tags}"

    def share_browser(self) -> str:
        """A browser that was one person's is used by another one, or by nobody known."""
        name = self._pick("hubspot_web_visits")
        if name is None:
            return "no visits"
        visitor = self.records["hubspot_web_visits"][name]["visitor_id"]
        contact = ROLLS["hubspot_web_visits"]["contact_id"](self.random)
        self._put("hubspot_web_visits", name, {"contact_id": contact, "visitor_id": visitor or "b1"})
        return f"visit {name} of browser {visitor} is contact {contact}'s"

    def repeat(self) -> str:
        """A sync reads records that did not change."""
        table = self.random.choice(_LIVELY)
        names = list(self.records[table])[:5]
        for name in names:
            self._put(table, name, {})
        return f"{table} read again: {len(names)} rows"


def _to_batch(table: str, rows: list[tuple[str, Record, bool, datetime | None]]) -> pa.Table:
    arrays = {
        column: pa.array([record.get(column) for _, record, _, _ in rows], pa.string())
        for column in source_columns(table)
    }
    return build_batch(
        table,
        arrays,
        key=[arrays[column] for column in KEYS.get(table, ("id",))],
        updated_at=pa.array([None if stamp is None else stamp.isoformat() for *_, stamp in rows], pa.string()),
        is_deleted=pa.array([deleted for _, _, deleted, _ in rows], pa.bool_()),
    )


_HAPPENINGS: Mapping[Callable[[World], str], int] = {
    World.create: 6,
    World.correct: 9,
    World.delete_or_restore: 4,
    World.renegotiate: 5,
    World.merge: 2,
    World.retag: 2,
    World.share_browser: 2,
    World.repeat: 1,
}
_TAGS: Sequence[Record] = (
    {"utm_source": "google", "utm_medium": "cpc"},
    {"utm_source": "linkedin", "utm_medium": "paid_social"},
    {"utm_source": "hubspot", "utm_medium": "email"},
)
# Tables by how often something happens there: those that incremental models read come up more often.
_LIVELY = (
    *("hubspot_web_visits",) * 7,
    *("salesforce_opportunities", "hubspot_deals", "hubspot_contacts") * 3,
    *("hubspot_companies", "salesforce_accounts", "salesforce_contacts", "hubspot_form_submissions") * 2,
    *("hubspot_email_events", "salesforce_campaign_members", "salesforce_leads", "billing_subscriptions") * 2,
    *(table for table in RAW_TABLE_NAMES if table in ROLLS),
)
# What changes together; None is drawn.
_DEALINGS: Mapping[str, tuple[Mapping[str, str | None], ...]] = {
    "salesforce_opportunities": (
        {"amount": None},
        {"stage_name": "Closed Won", "is_won": "true", "is_closed": "true"},
        {"stage_name": "Proposal", "is_won": "false", "is_closed": "false"},
        {"close_date": None},
    ),
    "hubspot_deals": (
        {"amount": None},
        {"hs_is_closed_won": "true"},
        {"hs_is_closed_won": "false"},
        {"closedate": None},
    ),
}
# table -> the table in which its CRM logs merges
_MERGES = {
    "hubspot_companies": None,
    "hubspot_contacts": "hubspot_contact_merges",
    "hubspot_deals": "hubspot_deal_merges",
    "salesforce_accounts": None,
    "salesforce_contacts": None,
    "salesforce_leads": None,
}
