"""The firewall against corpora: false and true pitches, and messages that others have labelled."""

import pytest

from evaluation import grounding, guardrails
from evaluation.grounding import Judged, judge

_JUDGED = list(judge())


@pytest.mark.parametrize("is_held_back", [False, True])
def test_every_false_pitch_is_refused(is_held_back: bool) -> None:
    passed = [one.pitch for one in _of(is_true=False, is_held_back=is_held_back) if not one.codes]
    assert passed == []


@pytest.mark.parametrize("is_held_back", [False, True])
def test_nearly_every_true_pitch_passes(is_held_back: bool) -> None:
    found = _of(is_true=True, is_held_back=is_held_back)
    refused = [(one.pitch, one.codes) for one in found if one.codes]
    assert len(refused) <= 0.05 * len(found), refused


def test_the_corpus_is_large_enough_and_no_pitch_occurs_twice() -> None:
    result = grounding.run()
    assert result["false_refused"]["pitches"] >= 60 and result["true_passed"]["pitches"] >= 60
    assert len({one.pitch for one in _JUDGED}) == len(_JUDGED)


@pytest.mark.shared_data
@pytest.mark.skipif(not guardrails.CASES.exists(), reason="../shared/data/outreach_guardrail_cases is absent")
def test_every_labelled_attack_is_refused_for_more_than_a_word() -> None:
    cases = list(guardrails.judge())
    missed = [case.id for case in cases if case.is_attack and not set(case.codes) - {"unknown-word"}]
    assert missed == []
    assert [case.id for case in cases if not case.is_attack and not case.codes] == [
        "ok-plain-40",
        "ok-pricing_neutral-50",
    ]


def _of(*, is_true: bool, is_held_back: bool) -> list[Judged]:
    return [one for one in _JUDGED if one.is_true is is_true and one.is_held_back is is_held_back]
