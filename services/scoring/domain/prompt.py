"""The question, built so that its constant part comes first (the server caches it) and the account last."""

import json
import re
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from services.scoring.domain.answer import LeadAnswer
from services.scoring.domain.profile import FIELDS, AccountProfile, strengths, weaknesses

Message = dict[str, str]
# What chat templates are made of. Nothing that is said after the examples needs it, so none of it gets through.
_CONTROL = re.compile(r"[<>|]|\[/?INST\]", re.IGNORECASE)
_MAX_STRENGTHS, _MAX_WEAKNESSES = 2, 1


class PromptExample(BaseModel):
    """One worked example; its answer must itself be a valid one."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    account: dict[str, JsonValue]
    answer: LeadAnswer


class Prompt(BaseModel):
    """The text of `prompts/lead_score.yml`. `version` is the file's hash: another wording is another question."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    version: str = Field("", description="hash of the file, set by its reader")
    system: str = Field(min_length=1)
    examples: list[PromptExample]
    retry: str = Field(description="said after a refusal; holds {reasons}", pattern=r"\{reasons\}")

    @cached_property
    def constant_part(self) -> list[Message]:
        """System and examples: the same before every account."""
        messages = [{"role": "system", "content": self.system.strip()}]
        for example in self.examples:
            messages.append({"role": "user", "content": _dump(example.account)})
            messages.append({"role": "assistant", "content": _dump(example.answer.model_dump())})
        return messages


def to_question(profile: AccountProfile) -> dict[str, Any]:
    """What the model is told: what a pitch may name, what the account did, and what speaks for and against it.

    Fields without a value, or with zero, are left out: what isn't there can't be named.
    """
    values = {name: value if isinstance(value, str) else int(value) for name, value in profile.values.items() if value}
    return {
        "slots": {name: value for name, value in values.items() if FIELDS[name].in_pitch},
        "activity": {name: value for name, value in values.items() if not FIELDS[name].in_pitch},
        "baseline_score": profile.baseline_score,
        "signals": [
            *({"field": name, "polarity": "positive"} for name in strengths(profile)[:_MAX_STRENGTHS]),
            *({"field": name, "polarity": "negative"} for name in weaknesses(profile)[:_MAX_WEAKNESSES]),
        ],
    }


def build_messages(prompt: Prompt, profile: AccountProfile, refusals: list[str]) -> list[Message]:
    """System, examples, account; after a refusal its reasons, without the refused answer (it may hold anything)."""
    question = _dump(to_question(profile))
    if refusals:
        question += "\n" + prompt.retry.replace("{reasons}", " ".join(refusals))
    return [*prompt.constant_part, {"role": "user", "content": _CONTROL.sub("", question)}]


def _dump(content: Any) -> str:
    return json.dumps(content, separators=(",", ":"), ensure_ascii=True)
