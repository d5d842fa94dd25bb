"""One row of `lead_scores` from an interview. JSON columns are text."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.scoring.domain.interview import Interview
from services.scoring.domain.policy import PitchPolicy
from services.scoring.domain.profile import AccountProfile
from services.scoring.domain.prompt import Prompt
from services.scoring.domain.score import all_factors, final_score, input_key, to_rules_version, to_tier, top_reasons
from services.scoring.settings import ScoringSettings

# The model chooses among what its tier allows; the first is taken where it chose something else, or nothing.
_ACTIONS_OF_TIER: dict[str, tuple[str, ...]] = {
    "A": ("call", "book_demo", "email"),
    "B": ("email", "book_demo", "call"),
    "C": ("nurture", "email", "call"),
    "D": ("wait", "nurture", "email"),
}


@dataclass(frozen=True)
class Rules:
    """What is the same for every row of a job."""

    job_id: str
    prompt_version: str
    rules_version: str
    model_name: str
    model_digest: str
    temperature: float
    bound: int
    tiers: Mapping[str, int]


def to_rules(
    job_id: str,
    settings: ScoringSettings,
    prompt: Prompt,
    policy: PitchPolicy,
    model: tuple[str, str],
    schema: Mapping[str, Any],
) -> Rules:
    """`model` is its name and digest; `schema` the one that its answers must fit."""
    return Rules(
        job_id=job_id,
        prompt_version=prompt.version,
        rules_version=to_rules_version({**settings.rules, "policy": policy.version, "schema": dict(schema)}),
        model_name=model[0],
        model_digest=model[1],
        temperature=settings.temperature,
        bound=settings.score_bound,
        tiers=settings.tiers,
    )


def to_shown_facts(profile: AccountProfile, lead_score: int) -> dict[str, Any]:
    """What a row of `lead_scores` shows of its account, and of which mart row it is; asked about or only refreshed."""
    return {
        "account_name": profile.account_name,
        "domain": profile.domain,
        "lead_score": lead_score,
        "baseline_score": profile.baseline_score,
        "fit_score": profile.fit_score,
        "engagement_score": profile.engagement_score,
        "reasons": _dump(top_reasons(profile.factors, profile.baseline_score, lead_score)),
        "factors": _dump(all_factors(profile.factors)),
        "facts_hash": profile.facts_hash,
        "dbt_run_id": profile.dbt_run_id,
        "mart_updated_at": profile.mart_updated_at,
    }


def to_lead_row(outcome: Interview, rules: Rules, scored_at: datetime) -> dict[str, Any]:
    """Every column of `lead_scores`. Without a readable answer the score is the baseline and says so."""
    profile, answer = outcome.profile, outcome.answer
    llm_score = answer.lead_score if answer else None
    score = final_score(profile.baseline_score, llm_score, rules.bound)
    tier = to_tier(score, rules.tiers)
    key = input_key(profile.profile_hash, rules.prompt_version, rules.model_digest, rules.rules_version, rules.bound)
    return {
        "account_id": profile.account_id,
        **to_shown_facts(profile, score),
        "llm_score": llm_score,
        "tier": tier,
        "is_active": profile.inactive_reason is None,
        "inactive_reason": profile.inactive_reason,
        "claims": _dump(outcome.supported_claims),
        "pitch": outcome.pitch,
        "pitch_template": answer.pitch if answer and outcome.has_own_pitch else None,
        "next_action": to_next_action(tier, answer.next_action if answer else None),
        "proposed_action": answer.next_action if answer else None,
        "score_source": "llm" if answer else "baseline",
        "pitch_source": "llm" if outcome.has_own_pitch else "template",
        "profile_hash": profile.profile_hash,
        "input_key": key,
        "prompt_version": rules.prompt_version,
        "rules_version": rules.rules_version,
        "weights_version": profile.weights_version,
        "score_bound": rules.bound,
        "model_name": rules.model_name,
        "model_digest": rules.model_digest,
        "temperature": rules.temperature,
        "seed": outcome.seed,
        "job_id": rules.job_id,
        "prompt_tokens": outcome.prompt_tokens,
        "completion_tokens": outcome.completion_tokens,
        "llm_duration_ms": outcome.duration_ms,
        "attempts": outcome.attempts,
        "llm_answer": outcome.raw_answer,
        "scored_at": scored_at,
        "refresh_job_id": None,
        "refreshed_at": None,
    }


def to_next_action(tier: str, proposed: str | None) -> str:
    """What to do next: no demo is booked with a cold account, and no hot one waits, whatever the model says."""
    allowed = _ACTIONS_OF_TIER[tier]
    return proposed if proposed in allowed else allowed[0]


def _dump(content: Any) -> str:
    return json.dumps(content, sort_keys=True)
