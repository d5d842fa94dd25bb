"""Records that someone merged into another one: what both CRMs keep of them, and who still names them."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from services.ingest.domain.mock.arrays import (
    Flags,
    Moments,
    Texts,
    are_known,
    moments_between,
    objects,
    only_where,
    to_iso,
)
from services.ingest.domain.mock.rows import Rows

_SHARE: Final = 0.02
_SHARE_TWICE: Final = 0.2  # of those: into the record that was merged away, another one had been merged before


@dataclass(frozen=True)
class Merged:
    """One entry per surviving record in every array; None where nothing was merged into it."""

    into: Texts
    """The surviving ids."""
    ids: Texts
    """What was merged into them, at `at`."""
    earlier_ids: Texts
    """What had been merged into those a day before."""
    at: Moments

    def where(self, kept: Flags) -> "Merged":
        """The entries of some of the records."""
        return Merged(self.into[kept], self.ids[kept], self.earlier_ids[kept], self.at[kept])

    def joined(self) -> Texts:
        """All ids of a record, as HubSpot's `hs_merged_object_ids` lists them."""
        lists = [";".join(filter(None, pair)) or None for pair in zip(self.ids.tolist(), self.earlier_ids.tolist())]
        return objects(lists)

    def named_instead(self, rng: np.random.Generator, share: float) -> Texts:
        """The surviving ids as others write them: a share of those with a past still by the id that is gone."""
        return np.where(self.draw_stale(rng, share), self.ids, self.into)

    def draw_stale(self, rng: np.random.Generator, share: float) -> Flags:
        """Which surviving records others still name by the id that is gone."""
        return are_known(self.ids) & (rng.random(len(self.into)) < share)

    def to_audit(self) -> dict[str, Texts]:
        """Rows of `hubspot_contact_merges` and `hubspot_deal_merges`."""
        first, second = are_known(self.ids), are_known(self.earlier_ids)
        merged_at = np.append(self.at[first], self.at[second] - np.timedelta64(1, "D"))
        return {
            "surviving_id": np.append(self.into[first], self.ids[second]),
            "merged_id": np.append(self.ids[first], self.earlier_ids[second]),
            "merged_at": to_iso(merged_at, "Z"),
        }


def draw_merged(
    rng: np.random.Generator, into: Texts, gone: tuple[Texts, Texts], since: Moments, horizon: np.datetime64
) -> Merged:
    """Two in a hundred records have swallowed another one. `gone` are ids to give to what they swallowed."""
    count = len(into)
    merged = rng.random(count) < _SHARE
    twice = merged & (rng.random(count) < _SHARE_TWICE)
    at = moments_between(rng, since, np.full(count, horizon))
    return Merged(into, only_where(merged, gone[0]), only_where(twice, gone[1]), at)


def add_hubspot_remains(rng: np.random.Generator, columns: dict[str, Texts], merged: Merged) -> Rows:
    """The records with their list of merged ids, and half of the merged ones as archived records."""
    columns = {**columns, "hs_merged_object_ids": merged.joined()}
    present = only_where(rng.random(len(merged.ids)) < 0.5, merged.ids)
    return _append(columns, present, {"hs_merged_object_ids": merged.earlier_ids})


def add_salesforce_remains(columns: dict[str, Texts], merged: Merged) -> Rows:
    """The records and, deleted, those merged into them: each names its master, which may have gone the same way."""
    columns = {**columns, "master_record_id": objects([None] * len(merged.ids))}
    once = _append(columns, merged.ids, {"master_record_id": merged.into})
    twice = _append(columns, merged.earlier_ids, {"master_record_id": merged.ids})
    survivors = len(merged.ids)
    gone = {name: np.append(once.columns[name], twice.columns[name][survivors:]) for name in columns}
    return Rows(gone, np.arange(len(gone["id"])) >= survivors)


def _append(columns: dict[str, Texts], ids: Texts, changes: dict[str, Texts]) -> Rows:
    """Copies of the survivors' rows under the merged `ids`, deleted."""
    chosen = are_known(ids)
    copies = {name: changes.get(name, values)[chosen] for name, values in columns.items()}
    copies["id"] = ids[chosen]
    merged = {name: np.append(values, copies[name]) for name, values in columns.items()}
    return Rows(merged, np.arange(len(merged["id"])) >= len(ids))
