"""Holds one account's interview with the model. A defect that one account brings out costs that account alone."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from services.scoring.adapters.lead_model import LeadModel, ModelUnavailable
from services.scoring.domain.answer import ANSWER_SCHEMA
from services.scoring.domain.interview import Interview, Question, QuestionFailed, interview
from services.scoring.domain.policy import PitchPolicy
from services.scoring.domain.profile import AccountProfile
from services.scoring.domain.prompt import Prompt
from services.scoring.domain.written_off import MOST_ATTEMPTS, WrittenOff, after_crash
from shared.errors import GtmError
from shared.jobs.context import INTERRUPTIONS
from shared.logging import get_logger

log = get_logger(__name__)
_NOT_OF_THE_ACCOUNT = (ModelUnavailable, GtmError, *INTERRUPTIONS)


@dataclass
class Interviewer:
    """Asks one model with one prompt; many interviews at once."""

    model: LeadModel
    prompt: Prompt
    policy: PitchPolicy
    num_predict: int

    async def hold(self, profile: AccountProfile, attempt: int) -> Interview | WrittenOff:
        """Ask, judge and ask again until there is a result. `attempt`: which one of the account this is, from 1.

        Raises:
            ModelUnavailable: no server is there. One that answers with errors ends the interview as failed instead.
            TerminalError: `model-missing`, `model-context-exceeded`, `model-request-refused`.
        """
        while True:
            said: list[str] = []
            try:
                return await self._drive(profile, said)
            except _NOT_OF_THE_ACCOUNT:
                raise
            except Exception as error:  # a defect: told in the log and, at the last, in a reject
                log.error("account_failed", account_id=profile.account_id, attempt=attempt, exc_info=error)
                if attempt >= MOST_ATTEMPTS:
                    return after_crash(profile.account_id, error, said[-1] if said else "")
            attempt += 1
            await asyncio.sleep(0)  # a defect before the first question must not hold up the others

    async def _drive(self, profile: AccountProfile, said: list[str]) -> Interview:
        """One pass through the questions; `said` gets the model's words."""
        questions = interview(profile, self.prompt, self.policy, self.num_predict)
        step: Callable[[], Question] = partial(next, questions)
        while True:
            try:
                question = step()
            except StopIteration as stop:
                outcome: Interview = stop.value
                return outcome
            try:
                reply = await self.model.ask(question.messages, ANSWER_SCHEMA, question.seed, question.num_predict)
            except ModelUnavailable as failure:
                if not failure.is_reached:
                    raise
                step = partial(questions.throw, QuestionFailed(failure.detail))
                continue
            said.append(reply.text)
            step = partial(questions.send, reply)
