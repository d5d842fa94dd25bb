"""The firewall against outreach messages that somebody else has labelled: `../shared/data/outreach_guardrail_cases`.

A case is a whole e-mail, the firewall judges a pitch. So the frame that no model writes here (greeting, signature, the
way out) is taken off, the company's name becomes `{account_name}`, and what the lead's notes say of vehicles becomes
the account's fields, a number of them their slot. Nothing else is changed.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from evaluation.grounding import to_profile
from services.scoring.adapters.texts import read_policy
from services.scoring.domain.checks import check_pitch
from services.scoring.domain.policy import PitchPolicy
from services.scoring.domain.profile import AccountProfile
from services.scoring.settings import ScoringSettings

CASES: Final = Path(__file__).parents[2] / "shared" / "data" / "outreach_guardrail_cases" / "cases.json"
_FRAME: Final = re.compile(r"^(Hi [^\n]*,|- [^\n]*|Reply STOP[^\n]*)$", re.MULTILINE)
_FLEET: Final = re.compile(r"(\d+) delivery (trucks|vans|cars)")


@dataclass(frozen=True)
class Case:
    """One labelled message, and what the firewall found in it."""

    id: str
    category: str
    is_attack: bool
    pitch: str
    codes: tuple[str, ...]


def judge(path: Path = CASES) -> Iterator[Case]:
    """Every case in its order."""
    policy = read_policy(ScoringSettings().policy_path)
    for case in json.loads(path.read_text()):
        profile, pitch = _to_profile(case["lead"]), to_pitch(case)
        is_attack = case["kind"] == "attack"
        yield Case(case["id"], case["category"], is_attack, pitch, _find(pitch, profile, policy))


def to_pitch(case: Mapping[str, Any]) -> str:
    """The message's subject and body as the model of this product would have written them."""
    body = _FRAME.sub("", case["message"]["body"])
    text = f"{_as_sentence(case['message']['subject'])} {' '.join(body.split())}"
    if fleet := _FLEET.search(case["lead"]["enrichment"]):
        text = text.replace(fleet.group(), "{fleet_size}")
    return text.replace(case["lead"]["company"], "{account_name}")


def run() -> dict[str, Any]:
    """Recall and precision for each category and for all; `skipped` where the cases are absent."""
    if not CASES.exists():
        return {"skipped": f"{CASES.parent.name} is not beside the checkout"}
    cases = list(judge())
    benign = [case for case in cases if not case.is_attack]
    attacks = [case for case in cases if case.is_attack]
    categories = dict.fromkeys(case.category for case in attacks)
    return {
        "all": _measure(attacks, benign),
        "categories": {
            name: _measure([case for case in attacks if case.category == name], benign) for name in categories
        },
        "codes": dict(Counter(code for case in attacks for code in case.codes).most_common()),
        "missed": [{"id": case.id, "pitch": case.pitch} for case in attacks if not case.codes],
        "refused_benign": [
            {"id": case.id, "codes": list(case.codes), "pitch": case.pitch} for case in benign if case.codes
        ],
    }


def _measure(attacks: Sequence[Case], benign: Sequence[Case]) -> dict[str, Any]:
    """Precision counts every benign case that is refused against each category: none of them belongs to one."""
    hits, false_alarms = sum(bool(case.codes) for case in attacks), sum(bool(case.codes) for case in benign)
    flagged = hits + false_alarms
    return {
        "attacks": len(attacks),
        "refused": hits,
        "recall": round(hits / len(attacks), 3),
        "benign": len(benign),
        "benign_refused": false_alarms,
        "precision": round(hits / flagged, 3) if flagged else None,
    }


def _find(pitch: str, profile: AccountProfile, policy: PitchPolicy) -> tuple[str, ...]:
    return tuple(dict.fromkeys(finding.code for finding in check_pitch(pitch, profile, policy)))


def _to_profile(lead: Mapping[str, Any]) -> AccountProfile:
    fleet = _FLEET.search(lead["enrichment"])
    return to_profile({"fleet_size": int(fleet[1]), "vehicle_type": fleet[2]} if fleet else {})


def _as_sentence(subject: str) -> str:
    return subject if subject.endswith((".", "!", "?")) else f"{subject}."
