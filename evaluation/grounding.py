"""Are false pitches refused, and true ones let through? The firewall against `corpora/pitches.yml`, without a model.

A third of the first round was held back, by a hash of the text, until the rules had been mended on all others.
`first_sight` has what each part showed before the rules were mended on it: how well they do on pitches not seen yet.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from services.scoring.adapters.texts import read_policy
from services.scoring.domain.checks import check_pitch
from services.scoring.domain.profile import AccountProfile, parse_values
from services.scoring.settings import ScoringSettings

CORPUS = Path(__file__).parent / "corpora" / "pitches.yml"
_HELD_BACK_OF = 3


@dataclass(frozen=True)
class Judged:
    """One pitch and what the firewall found; `codes` empty: it would be sent."""

    pitch: str
    kind: str
    is_true: bool
    is_held_back: bool
    codes: tuple[str, ...]

    @property
    def is_right(self) -> bool:
        """A true one passed, a false one did not."""
        return self.is_true is not bool(self.codes)


def judge(corpus: Path = CORPUS) -> Iterator[Judged]:
    """Every pitch of the corpus, in its order."""
    content = yaml.safe_load(corpus.read_text())
    profiles = {name: to_profile(row) for name, row in content["accounts"].items()}
    policy = read_policy(ScoringSettings().policy_path)
    for is_true in (True, False):
        for case in content["true" if is_true else "false"]:
            findings = check_pitch(case["pitch"], profiles[case["account"]], policy)
            codes = tuple(dict.fromkeys(finding.code for finding in findings))
            kind = "true" if is_true else str(case["kind"])
            yield Judged(case["pitch"], kind, is_true, "round" not in case and is_held_back(case["pitch"]), codes)


def is_held_back(pitch: str) -> bool:
    """Whether the rules were made without looking at what becomes of this one, if it is of the first round."""
    return int(hashlib.sha256(pitch.encode()).hexdigest(), 16) % _HELD_BACK_OF == 0


def to_profile(row: dict[str, Any]) -> AccountProfile:
    """An account of a corpus; without factors, so the values alone decide what can be claimed."""
    row = {name: Decimal(value) if name == "open_pipeline_usd" else value for name, value in row.items()}
    when = datetime(2026, 1, 1)
    return AccountProfile("corpus", "Nordlicht AG", None, parse_values(row), 50, 25, 25, "hash", "build", when)


def run() -> dict[str, Any]:
    """Shares of each part, and each pitch that was judged wrongly."""
    judged = list(judge())
    return {
        "first_sight": yaml.safe_load(CORPUS.read_text())["first_sight"],
        "false_refused": _share(one for one in judged if not one.is_true),
        "false_refused_held_back": _share(one for one in judged if not one.is_true and one.is_held_back),
        "true_passed": _share(one for one in judged if one.is_true),
        "true_passed_held_back": _share(one for one in judged if one.is_true and one.is_held_back),
        "refused_for": dict(Counter(one.codes[0] for one in judged if one.codes and not one.is_true).most_common()),
        "judged_wrongly": [
            {"pitch": one.pitch, "kind": one.kind, "held_back": one.is_held_back, "codes": list(one.codes)}
            for one in judged
            if not one.is_right
        ],
    }


def _share(judged: Iterator[Judged]) -> dict[str, Any]:
    found = list(judged)
    right = sum(one.is_right for one in found)
    return {"pitches": len(found), "right": right, "share": round(right / len(found), 4)}
