"""Scores accounts: read whom to ask about, ask the model, check, write. Knows neither Celery nor FastAPI.

The warehouse is never open while the model thinks; what is done is written in small batches, so a killed job loses at
most one of them and its successor goes on after the last.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from services.scoring.adapters.lead_model import LeadModel, ModelUnavailable
from services.scoring.adapters.marts import QuestionVersion, ScoringPlan, read_accounts, read_plan
from services.scoring.adapters.ollama_errors import to_unreachable
from services.scoring.adapters.texts import read_policy, read_prompt
from services.scoring.adapters.upserts import (
    prepare_outbound,
    read_job_totals,
    read_stored_leads,
    to_reject_rows,
    upsert_batch,
)
from services.scoring.domain.answer import ANSWER_SCHEMA
from services.scoring.domain.interview import Interview, QuestionFailed, interview
from services.scoring.domain.lead import Rules, to_lead_row, to_rules, to_shown_change
from services.scoring.domain.patience import CircuitBreaker, to_delay
from services.scoring.domain.policy import PitchPolicy
from services.scoring.domain.profile import AccountProfile
from services.scoring.domain.prompt import Prompt
from services.scoring.domain.requests import to_rescore_request, to_scoring_request
from services.scoring.domain.tally import Tally
from services.scoring.settings import ScoringSettings
from shared.contracts import ScoringRequest
from shared.jobs.context import JobContext
from shared.warehouse import Warehouse

_READ_ACCOUNTS = 200  # profiles held in memory at once
_WAKE_SECONDS = 1.0  # how soon a cancel is noticed while the model thinks
_MOST_LISTED_CHANGES = 100
_Answer = TypeVar("_Answer")


def score_accounts(
    job: JobContext, warehouse: Warehouse, model: LeadModel, settings: ScoringSettings
) -> dict[str, Any]:
    """Score active prospects, or the accounts that the request names (`shared.contracts.ScoringRequest`).

    A repeat asks nothing and changes nothing. Run again under the same job id, it goes on where it stopped.

    Returns:
        The counts of `Tally`; a dry run adds `would_change`, at most 100 of them.

    Raises:
        TransientError: `model-unreachable`, `warehouse-busy`; what is committed stays.
        TerminalError: `marts-missing`, `model-missing`, `model-context-exceeded`, `scoring-text-invalid` and others.
        JobCancelled, LeaseLost: from the job; what is committed stays.
    """
    return asyncio.run(_score(job, warehouse, model, settings, to_scoring_request(job.request)))


def rescore_account(
    job: JobContext, warehouse: Warehouse, model: LeadModel, settings: ScoringSettings
) -> dict[str, Any]:
    """Score the one account that the request names (`{account_id, force?}`), an active prospect or not, or the accounts
    that a load has changed (`{load_id}`), at most GTM_REFRESH_ACCOUNTS of them: `left` counts the others.

    An unchanged profile costs no model call; an unknown account is counted as `missing`. Raises as `score_accounts`.
    """
    request = to_rescore_request(job.request, settings.refresh_accounts)
    return asyncio.run(_score(job, warehouse, model, settings, request))


async def _score(
    job: JobContext, warehouse: Warehouse, model: LeadModel, settings: ScoringSettings, request: ScoringRequest
) -> dict[str, Any]:
    prompt, policy = read_prompt(settings.prompt_path), read_policy(settings.policy_path)
    job.report("plan", 0, None, "accounts")
    async with model:
        try:
            described = await _ask_patiently(model.describe, settings)
            rules = to_rules(job.job_id, settings, prompt, policy, described, ANSWER_SCHEMA)
            plan = await asyncio.to_thread(_read_plan, warehouse, rules, request)
            run = _Run(job, warehouse, model, settings, request, rules, (prompt, policy), plan)
            if plan.account_ids:
                await run.score_all()
        except ModelUnavailable as failure:
            raise to_unreachable(model.address, failure) from failure
    return run.tally.to_result()


def _read_plan(warehouse: Warehouse, rules: Rules, request: ScoringRequest) -> ScoringPlan:
    version = QuestionVersion(rules.prompt_version, rules.model_digest, rules.rules_version)
    return read_plan(warehouse, version, rules.job_id, scope=request.scope, limit=request.limit, force=request.force)


async def _ask_patiently(call: Callable[[], Awaitable[_Answer]], settings: ScoringSettings) -> _Answer:
    """Try a few times with growing pauses; the last failure goes on to the caller."""
    tries = 0
    while True:
        tries += 1
        try:
            return await call()
        except ModelUnavailable as failure:
            if tries >= settings.tries:
                raise
            await asyncio.sleep(to_delay(settings.backoff_seconds, tries, failure.retry_after))


@dataclass
class _Run:
    """One job's way through its accounts. `held` are accounts for which the server failed: whether it was the account
    or the server shows with the next one, and only then are they written, with their baseline."""

    job: JobContext
    warehouse: Warehouse
    model: LeadModel
    settings: ScoringSettings
    request: ScoringRequest
    rules: Rules
    texts: tuple[Prompt, PitchPolicy]
    plan: ScoringPlan
    batch: list[Interview] = field(default_factory=list)
    held: list[Interview] = field(default_factory=list)
    has_answered: bool = False

    def __post_init__(self) -> None:
        self.breaker = CircuitBreaker(self.settings.breaker_accounts)
        self.tally = Tally(self.plan.candidates, self.plan.unchanged, self.plan.missing)
        self.tally.left = self.plan.left
        if self.request.dry_run:
            self.tally.would_change = []
        elif self.plan.done:
            self.tally.resume(read_job_totals(self.warehouse, self.job.job_id))

    async def score_all(self) -> None:
        """Raises ModelUnavailable when the server stays away; everything answered until then is written first."""
        ids = self.plan.account_ids
        self.job.report("warm-up", 0, len(ids), "accounts")
        await _ask_patiently(self.model.warm_up, self.settings)
        if not self.request.dry_run:
            await asyncio.to_thread(prepare_outbound, self.warehouse)
        for start in range(0, len(ids), _READ_ACCOUNTS):
            chunk = ids[start : start + _READ_ACCOUNTS]
            profiles = await asyncio.to_thread(read_accounts, self.warehouse, chunk)
            self.tally.missing += len(chunk) - len(profiles)  # gone since the plan was read
            await self._score_chunk(profiles)
        if self.held and not self.has_answered:
            raise ModelUnavailable(self.held[-1].refusals[-1].reason, is_reached=True)
        self.batch += self.held
        await self._flush()

    async def _score_chunk(self, profiles: Iterable[AccountProfile]) -> None:
        waiting = iter(profiles)
        pending: set[asyncio.Task[Interview]] = set()
        loop = asyncio.get_running_loop()
        flushed_at = loop.time()
        try:
            while True:
                while len(pending) < self.settings.num_parallel and (profile := next(waiting, None)):
                    pending.add(asyncio.create_task(self._hold_interview(profile)))
                if not pending:
                    break
                ready, pending = await asyncio.wait(pending, timeout=_WAKE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                await self._take(ready)
                is_late = loop.time() - flushed_at >= self.settings.batch_seconds
                if len(self.batch) >= self.settings.batch_accounts or (self.batch and is_late):
                    await self._flush()
                    flushed_at = loop.time()
                self._report()
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
        await self._flush()

    async def _take(self, ready: set[asyncio.Task[Interview]]) -> None:
        """Sort finished interviews into the batch or the held ones; an error first has the batch written."""
        errors = [task.exception() for task in ready if task.exception() is not None]
        for outcome in (task.result() for task in ready if task.exception() is None):
            if outcome.is_failed:
                self.held.append(outcome)
                self.breaker.fail()
                continue
            self.breaker.succeed()
            self.has_answered = True
            self.batch += [*self.held, outcome]
            self.held = []
        if self.breaker.is_open:
            errors.append(ModelUnavailable(self.held[-1].refusals[-1].reason, is_reached=True))
        if errors:
            await self._flush()
            raise errors[0]  # type: ignore[misc]  # None was filtered out above

    async def _hold_interview(self, profile: AccountProfile) -> Interview:
        """Drive one account's questions; a server that answers with errors ends it, one that is away raises."""
        prompt, policy = self.texts
        questions = interview(profile, prompt, policy, self.settings.num_predict)
        question = next(questions)
        while True:
            ask = partial(self.model.ask, question.messages, ANSWER_SCHEMA, question.seed, question.num_predict)
            failed: QuestionFailed | None = None
            try:
                reply = await _ask_patiently(ask, self.settings)
            except ModelUnavailable as failure:
                if not failure.is_reached:
                    raise
                failed = QuestionFailed(failure.detail)
            try:
                question = questions.throw(failed) if failed else questions.send(reply)
            except StopIteration as stop:
                outcome: Interview = stop.value
                return outcome

    def _report(self) -> None:
        done = self.tally.scored + len(self.batch)
        self.job.report("score", done, self.plan.done + len(self.plan.account_ids), "accounts")

    async def _flush(self) -> None:
        """Write the batch; nothing is counted before it is committed."""
        batch, self.batch = self.batch, []
        if not batch:
            return
        await asyncio.to_thread(self._write, batch)
        for outcome in batch:
            self.tally.count(outcome)
        self._report()

    def _write(self, batch: Sequence[Interview]) -> None:
        now = datetime.now(UTC).replace(tzinfo=None)
        leads = [to_lead_row(outcome, self.rules, now) for outcome in batch]
        if self.tally.would_change is not None:
            self._note_changes(leads)
            return
        rejects = [row for outcome in batch for row in to_reject_rows(outcome, self.rules.job_id, now)]
        upsert_batch(self.warehouse, leads, rejects, force=self.request.force, before_commit=self.job.check)

    def _note_changes(self, leads: Sequence[dict[str, Any]]) -> None:
        """A dry run's result instead of rows."""
        assert self.tally.would_change is not None
        stored = read_stored_leads(self.warehouse, [lead["account_id"] for lead in leads])
        changes = [to_shown_change(stored.get(lead["account_id"]), lead) for lead in leads]
        self.tally.would_change += [change for change in changes if change is not None]
        del self.tally.would_change[_MOST_LISTED_CHANGES:]
