"""Scores accounts: read whom to ask about, ask the model, check, write. Knows neither Celery nor FastAPI.

Reading, asking and writing go on beside each other: the model never waits for the warehouse, which is open for moments
only. What is done is written in small batches: a killed job loses at most one of them, and its successor goes on after
the last. One worker does a whole scoring: the model servers set the pace, and one process keeps many of them busy.
"""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar

from services.scoring.adapters.asking import Asking
from services.scoring.adapters.attempts import AttemptLog, RunAttempts, Turns, may_blame
from services.scoring.adapters.batches import LeadBatches
from services.scoring.adapters.interviews import Interviewer
from services.scoring.adapters.lead_model import LeadModel, ModelUnavailable
from services.scoring.adapters.marts import read_accounts
from services.scoring.adapters.model_errors import to_unreachable
from services.scoring.adapters.plan import PlanQuery, QuestionVersion, ScoringPlan, read_open, read_plan
from services.scoring.adapters.profiles import PlannedProfiles, read_ahead
from services.scoring.adapters.refreshes import Refreshes
from services.scoring.adapters.settlement import settle_leads
from services.scoring.adapters.texts import read_policy, read_prompt
from services.scoring.adapters.upserts import prepare_outbound, read_job_totals
from services.scoring.adapters.witnesses import find_witnesses
from services.scoring.domain.answer import ANSWER_SCHEMA
from services.scoring.domain.interview import Interview
from services.scoring.domain.lead import Rules, to_rules
from services.scoring.domain.patience import CircuitBreaker
from services.scoring.domain.policy import PitchPolicy
from services.scoring.domain.profile import AccountProfile
from services.scoring.domain.requests import to_rescore_request, to_scoring_request
from services.scoring.domain.tally import Tally
from services.scoring.domain.tiers import to_tier_rule
from services.scoring.domain.written_off import MOST_ATTEMPTS, after_deaths
from services.scoring.settings import ScoringSettings
from shared.contracts import ScoringRequest
from shared.jobs.context import JobContext
from shared.warehouse import Warehouse

_WAKE_SECONDS: Final = 1.0  # how soon a cancel is noticed while the server is away
_THREADS: Final = 3
_Answer = TypeVar("_Answer")
_Windows = AsyncGenerator[list[AccountProfile], None]


def score_accounts(
    job: JobContext,
    warehouse: Warehouse,
    model: LeadModel,
    settings: ScoringSettings,
    attempts: AttemptLog | None = None,
) -> dict[str, Any]:
    """Score active prospects, or the accounts that the request names (`shared.contracts.ScoringRequest`).

    A repeat asks nothing and changes nothing. Run again under the same job id, it goes on where it stopped; `attempts`
    then tells it with which accounts an earlier worker died.

    Returns:
        The counts of `Tally`; a dry run adds `would_change`, at most 100 of them.

    Raises:
        TransientError: `model-unreachable`, `warehouse-busy`, `operations-unavailable`; what is committed stays.
        TerminalError: `marts-missing`, `model-missing`, `model-context-exceeded`, `scoring-text-invalid` and others.
        JobCancelled, LeaseLost: from the job; what is committed stays.
    """
    request = to_scoring_request(job.request)
    return asyncio.run(_Run(job, warehouse, model, settings, request, attempts or RunAttempts()).score())


def rescore_account(
    job: JobContext,
    warehouse: Warehouse,
    model: LeadModel,
    settings: ScoringSettings,
    attempts: AttemptLog | None = None,
) -> dict[str, Any]:
    """Score the one account that the request names (`{account_id, force?}`), an active prospect or not, or the accounts
    that a load has changed (`{load_id}`), at most GTM_REFRESH_ACCOUNTS of them: `left` counts the others.

    An unchanged profile costs no model call; an unknown account is counted as `missing`. Raises as `score_accounts`.
    """
    request = to_rescore_request(job.request, settings.refresh_accounts)
    return asyncio.run(_Run(job, warehouse, model, settings, request, attempts or RunAttempts()).score())


@dataclass
class _Run:
    """One attempt of a job."""

    job: JobContext
    warehouse: Warehouse
    model: LeadModel
    settings: ScoringSettings
    request: ScoringRequest
    attempts: AttemptLog
    tally: Tally = field(default_factory=Tally)

    async def score(self) -> dict[str, Any]:
        """The job's result."""
        prompt, policy = read_prompt(self.settings.prompt_path), read_policy(self.settings.policy_path)
        interviewer = Interviewer(self.model, prompt, policy, self.settings.num_predict)
        # One reads, one writes, one notes: each thread more would keep memory of its own.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, "warehouse"))
        self.job.report("plan", 0, None, "accounts")
        async with self.model:
            try:
                described = await self._wait_for(self.model.describe(), "plan")
                rules = to_rules(self.job.job_id, self.settings, prompt, policy, described, ANSWER_SCHEMA)
                version = QuestionVersion(rules.prompt_version, rules.model_digest, rules.rules_version, rules.bound)
                scope, limit, force = self.request.scope, self.request.limit, self.request.force
                query = PlanQuery(version, self.job.job_id, scope, limit, force)
                plan = await asyncio.to_thread(self._read_plan, query)
                await self._refresh(query, rules, policy, plan.stale)
                if plan.open:
                    batches = LeadBatches(self.warehouse, rules, to_tier_rule(self.settings), force, self.job.check)
                    await self._wait_for(self.model.warm_up(), "warm-up", plan.open)
                    await _Questions(self, query, plan, interviewer, batches).ask_all()
            except ModelUnavailable as failure:
                raise to_unreachable(self.model.address, failure) from failure
        rule, check = to_tier_rule(self.settings), self.job.check
        await asyncio.to_thread(settle_leads, self.warehouse, query, rule, self.tally, before_commit=check)
        return self.tally.to_result()

    def _read_plan(self, query: PlanQuery) -> ScoringPlan:
        plan = read_plan(self.warehouse, query)
        self.tally = Tally(plan.candidates, plan.unchanged, plan.missing, refreshed=plan.refreshed, left=plan.left)
        if self.request.dry_run:
            self.tally.would_change = []
            return plan
        prepare_outbound(self.warehouse)
        if plan.done:
            totals = read_job_totals(self.warehouse, self.job.job_id)
            plan = plan.resume(totals["scored"] + totals["failed"])
            self.tally.candidates = plan.candidates
            self.tally.resume(totals)
        return plan

    async def _refresh(self, query: PlanQuery, rules: Rules, policy: PitchPolicy, stale: int) -> None:
        """Leads whose facts alone are others; before any question, which may have to wait for a server."""
        rule, is_dry_run, tally, done = to_tier_rule(self.settings), self.request.dry_run, self.tally, 0
        refreshes = Refreshes(self.warehouse, query, rules, policy, rule, self.job.check, is_dry_run)
        while stale and (page := await asyncio.to_thread(refreshes.run_page)):
            tally.count_refreshed(page)
            done += page.planned
            self.job.report("refresh", done, max(done, stale), "accounts")
        tally.unchanged += stale - done  # others have dealt with them meanwhile

    async def _wait_for(self, call: Coroutine[Any, Any, _Answer], phase: str, total: int | None = None) -> _Answer:
        """A call that waits patiently for an absent server, or long for the model's load."""
        if total is not None:
            self.job.report(phase, 0, total, "accounts")
        task = asyncio.create_task(call)
        try:
            while not task.done():
                await asyncio.wait((task,), timeout=_WAKE_SECONDS)
                if not task.done():
                    self.job.report("wait-for-model" if self.model.is_away else phase, 0, total, "accounts")
            return task.result()
        finally:
            task.cancel()


class _Questions:
    """The asking of one attempt, and the writing beside it."""

    def __init__(
        self, run: _Run, query: PlanQuery, plan: ScoringPlan, interviewer: Interviewer, batches: LeadBatches
    ) -> None:
        self._run = run
        self._query = query
        self._plan = plan
        self._batches = batches
        self._size, self._seconds = run.settings.batch_accounts, run.settings.batch_seconds
        tally, most = run.tally, run.settings.breaker_accounts
        is_plausible = may_blame(tally.failed, tally.scored)
        self._turns = Turns(run.attempts, is_resumable=tally.would_change is None, may_blame=is_plausible)
        find = partial(find_witnesses, run.warehouse, most=most)
        self._asking = Asking(interviewer, CircuitBreaker(most), self._turns, find, self._size)
        self._written_at = asyncio.get_running_loop().time()

    async def ask_all(self) -> None:
        """Raises ModelUnavailable when the server stays away; everything answered until then is written first."""
        asking, tally = self._asking, self._run.tally
        try:
            await asyncio.to_thread(self._turns.read)
            await self._ask_suspects()
            planned = PlannedProfiles(self._run.warehouse, self._query, self._plan, self._turns.earlier)
            await self._ask(read_ahead(planned), self._run.model.slots)
            await asking.settle()
            await self._write(is_all=True)
        except BaseException:
            self._turns.give_back()
            raise
        tally.missing += planned.gone
        tally.unchanged += self._plan.open - planned.planned  # others have scored them meanwhile
        await asyncio.to_thread(self._turns.finish)

    async def _ask_suspects(self) -> None:
        """First the accounts with which a worker has died, one by one, so that the one at fault is alone next time."""
        warehouse, earlier = self._run.warehouse, self._turns.earlier
        still_open = await asyncio.to_thread(read_open, warehouse, self._query, list(earlier))
        ids = sorted((one.account_id for one in still_open), key=lambda one: (-earlier[one], one))
        self._asking.results += [after_deaths(one) for one in ids if earlier[one] >= MOST_ATTEMPTS]
        await self._write(is_all=True)
        others = [one for one in ids if earlier[one] < MOST_ATTEMPTS]
        for profile in await asyncio.to_thread(read_accounts, warehouse, others):
            await self._ask(_alone(profile), 1)
        await self._write(is_all=True)

    async def _ask(self, windows: _Windows, slots: int) -> None:
        loop = asyncio.get_running_loop()
        async with aclosing(self._asking.moments(windows, slots, self._seconds)) as moments:
            async for _ in moments:
                self._report()
                await self._write(is_all=loop.time() - self._written_at >= self._seconds)
        if self._asking.error is not None:
            await self._write(is_all=True)
            raise self._asking.error

    async def _write(self, *, is_all: bool) -> None:
        """Full batches, or all that there is; nothing is counted before it is committed."""
        results, tally = self._asking.results, self._run.tally
        while len(results) >= (1 if is_all else self._size):
            batch = results[: self._size]
            if tally.would_change is None:
                written = await asyncio.to_thread(self._batches.write, batch)
            else:
                written = batch
                tally.list_changes(await asyncio.to_thread(self._batches.show, batch))
            self._asking.drop(len(batch))
            for outcome in written:
                tally.count(outcome)
            self._turns.store(sum(isinstance(outcome, Interview) for outcome in written))
            self._written_at = asyncio.get_running_loop().time()
            self._report()

    def _report(self) -> None:
        tally, phase = self._run.tally, "wait-for-model" if self._run.model.is_away else "score"
        done = tally.scored + tally.failed + len(self._asking.results)
        self._run.job.report(phase, done, self._plan.done + self._plan.open, "accounts")


async def _alone(profile: AccountProfile) -> _Windows:
    yield [profile]
