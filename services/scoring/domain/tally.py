"""Counts of a scoring job."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final

from services.scoring.domain.refresh import RefreshedPage
from services.scoring.domain.written_off import Outcome, Superseded, WrittenOff

MOST_LISTED_CHANGES: Final = 100


@dataclass
class Tally:
    """Accounts: `candidates` = `unchanged` + `refreshed` + `scored` + `superseded` + `failed` at the end. `refreshed`
    had other facts under the same question, `superseded` a newer lead of another job when their answer came. Of
    `llm_calls`, `rejected_answers` were refused. `deactivated`, `reactivated` and `moved_tiers` are leads that nobody
    was asked about."""

    candidates: int = 0
    unchanged: int = 0
    missing: int = 0
    scored: int = 0
    refreshed: int = 0
    superseded: int = 0
    failed: int = 0
    baseline_only: int = 0
    template_pitches: int = 0
    rejected_answers: int = 0
    llm_calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    deactivated: int = 0
    reactivated: int = 0
    moved_tiers: int = 0
    left: int | None = None  # of a load's accounts, below the limit
    would_change: list[dict[str, Any]] | None = field(default=None)

    def count(self, outcome: Outcome | Superseded) -> None:
        """One account more."""
        if isinstance(outcome, WrittenOff):
            self.failed += 1
            return
        if isinstance(outcome, Superseded):
            self.superseded += 1
            outcome = outcome.interview
        else:
            self.scored += 1
            self.baseline_only += outcome.answer is None
            self.template_pitches += not outcome.has_own_pitch
        self.rejected_answers += len(outcome.refusals)
        self.llm_calls += outcome.attempts
        self.prompt_tokens += outcome.prompt_tokens
        self.completion_tokens += outcome.completion_tokens

    def count_refreshed(self, page: RefreshedPage) -> None:
        """A page of leads that were brought up to date, or would be (`shown`)."""
        self.refreshed += page.refreshed
        self.failed += page.failed
        self.missing += page.gone
        self.unchanged += page.planned - page.refreshed - page.failed - page.gone
        if self.would_change is not None:
            self.list_changes(page.shown)

    def list_changes(self, changes: Sequence[Mapping[str, Any]]) -> None:
        """Of a dry run; the first of each account, at most `MOST_LISTED_CHANGES` of them."""
        assert self.would_change is not None
        listed = {change["account_id"] for change in self.would_change}
        self.would_change += [dict(change) for change in changes if change["account_id"] not in listed]
        del self.would_change[MOST_LISTED_CHANGES:]

    def resume(self, totals: Mapping[str, int]) -> None:
        """Go on from what an earlier attempt of the job has written."""
        for item in fields(self):
            if item.name in totals:
                setattr(self, item.name, getattr(self, item.name) + totals[item.name])

    def to_result(self) -> dict[str, Any]:
        """JSON for the job's row; `would_change` only for a dry run, `left` only for a load's accounts."""
        return {name: value for name, value in asdict(self).items() if value is not None}
