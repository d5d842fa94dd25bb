"""A lead whose account has other facts while its question stayed the same: brought up to date without a new answer.

A question is made of buckets, so that a number that moves a little costs no call of the model. A row shows exact facts.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from services.scoring.domain.answer import AnswerRefused, parse_answer
from services.scoring.domain.checks import check_pitch
from services.scoring.domain.lead import Rules, to_next_action, to_shown_facts
from services.scoring.domain.policy import PitchPolicy
from services.scoring.domain.profile import AccountProfile, can_claim
from services.scoring.domain.render import render_pitch, template_pitch
from services.scoring.domain.score import final_score, to_tier
from services.scoring.domain.tiers import TierRule

Row = Mapping[str, Any]


class RefreshedPage(NamedTuple):
    """Accounts of one page: `planned` = `refreshed` + `gone` + `failed` + those that others have dealt with. `shown`:
    what a dry run lists."""

    planned: int
    refreshed: int
    gone: int
    failed: int
    shown: list[dict[str, Any]]


def refresh_lead(
    stored: Row, profile: AccountProfile, policy: PitchPolicy, rules: Rules, tier_rule: TierRule, now: datetime
) -> dict[str, Any]:
    """The stored row with the profile's facts: name, domain, scores, factors, claims, and the pitch rendered anew.

    What the model answered stays, and so do `job_id` and `scored_at`: nobody was asked. Its pitch passes the checks
    again or gives way to the template, until facts come for which it passes. A repeat gives the same row.
    """
    score = final_score(profile.baseline_score, stored["llm_score"], rules.bound)
    tier = to_tier(score, rules.tiers) if tier_rule.by == "score" else stored["tier"]
    template = to_pitch_template(stored)
    is_own = template is not None and not check_pitch(template, profile, policy)
    claims = [one for one in json.loads(stored["claims"]) if can_claim(profile, one["field"], one["polarity"])]
    return {
        **stored,
        **to_shown_facts(profile, score),
        "tier": tier,
        "claims": _dump(claims),
        "pitch": render_pitch(template, profile) if template and is_own else template_pitch(profile, policy),
        "pitch_source": "llm" if is_own else "template",
        "pitch_template": template,
        "next_action": to_next_action(tier, stored["proposed_action"] or stored["next_action"]),
        "refresh_job_id": rules.job_id,
        "refreshed_at": now,
    }


def to_pitch_template(stored: Row) -> str | None:
    """The model's pitch with its slots, also of a row that an earlier release wrote; None where none passed."""
    if stored["pitch_template"] is not None or stored["pitch_source"] != "llm" or not stored["llm_answer"]:
        template: str | None = stored["pitch_template"]
        return template
    try:
        return parse_answer(stored["llm_answer"]).pitch
    except AnswerRefused:  # its end was cut off when it was stored
        return None


def _dump(content: Any) -> str:
    return json.dumps(content, sort_keys=True)
