"""Figures of rankings, against what can be counted by hand."""

from datetime import date

import numpy as np
import pytest

from evaluation.asked import Answers, draw_sample
from evaluation.contest import BASELINE, FINAL, LLM, RANDOM, REGRESSION, hold
from evaluation.metrics import auc_difference, judge_ranking, reliability, roc_auc, top_rate
from evaluation.periods import Outcome, Period, days_before, join
from evaluation.rankings import Promise, Regression, Shape

SCORES = np.array([90.0, 80.0, 80.0, 10.0])
HAPPENED = np.array([True, True, False, False])
ONES = np.ones(4)


def test_the_auc_counts_pairs_and_ties_by_half() -> None:
    # 90 beats both, 80 ties with one and beats the other: 3.5 of 4 pairs
    assert roc_auc(SCORES, HAPPENED).value == pytest.approx(3.5 / 4)
    assert roc_auc(-SCORES, HAPPENED).value == pytest.approx(0.5 / 4)
    with pytest.raises(ValueError, match="with the outcome and without"):
        roc_auc(SCORES, np.full(4, True))


def test_the_interval_of_the_auc_holds_the_truth_nineteen_times_in_twenty() -> None:
    stream = np.random.default_rng(3)
    truth = 0.7602  # of two normal distributions, one apart: the normal distribution at 1 / sqrt(2)
    held = 0
    for _ in range(400):
        happened = np.arange(200) < 60
        found = roc_auc(stream.standard_normal(200) + happened, happened)
        held += found.low <= truth <= found.high
    assert 0.92 <= held / 400 <= 0.98


def test_the_difference_of_two_rankings_of_the_same_accounts_is_surer_than_either() -> None:
    stream = np.random.default_rng(5)
    happened = np.arange(500) < 200
    scores = stream.standard_normal(500) + happened
    others = scores + 0.1 * stream.standard_normal(500)
    apart = auc_difference(scores, others, happened)
    assert apart.value == pytest.approx(roc_auc(scores, happened).value - roc_auc(others, happened).value)
    assert apart.high - apart.low < 0.3 * (roc_auc(scores, happened).high - roc_auc(scores, happened).low)
    assert auc_difference(scores, scores, happened).to_json() == [0.0, 0.0, 0.0]


def test_a_part_of_the_last_group_of_equal_scores_is_taken() -> None:
    assert top_rate(SCORES, HAPPENED, ONES, 1) == 1.0
    assert top_rate(SCORES, HAPPENED, ONES, 2) == pytest.approx((1 + 0.5) / 2)
    assert top_rate(SCORES, HAPPENED, ONES, 3) == pytest.approx(2 / 3)


def test_weights_stand_for_accounts_that_were_not_sampled() -> None:
    """A sample with as many of each kind gives the figures of the population."""
    stream = np.random.default_rng(7)
    happened = stream.random(40_000) < 0.05
    scores = np.round(stream.standard_normal(40_000) + happened, 1)
    chances = 0.05 + 0.02 * scores.clip(-2, 2)
    places = np.concatenate([np.flatnonzero(happened)[:1500], np.flatnonzero(~happened)[:7500]])
    weights = np.where(happened[places], happened.sum() / 1500, (~happened).sum() / 7500)
    population = judge_ranking(scores, happened, np.ones(40_000), chances)
    sample = judge_ranking(scores[places], happened[places], weights, chances[places])
    for name in ("pr_auc", "lift_top_decile", "brier"):
        assert sample[name] == pytest.approx(population[name], rel=0.12), name
    assert sample["roc_auc"][0] == pytest.approx(population["roc_auc"][0], abs=0.02)


def test_reliability_puts_what_came_beside_what_was_promised() -> None:
    rows = reliability(
        np.array([0.1] * 10 + [0.6] * 10), np.array([True] + [False] * 9 + [True] * 6 + [False] * 4), np.ones(20)
    )
    assert rows == [
        {"accounts": 10.0, "promised": 0.1, "observed": 0.1},
        {"accounts": 10.0, "promised": 0.6, "observed": 0.6},
    ]


def _period(day_number: int, count: int = 3_000) -> Period:
    """Baseline and fleet both tell of the outcome; nothing else does."""
    stream = np.random.default_rng(day_number)
    fleet = np.exp(stream.standard_normal(count) * 1.5 + 3)
    happened = stream.random(count) < 1 / (1 + np.exp(3 - np.log(fleet) / 2))
    columns = {
        "account_id": [f"a{number}" for number in range(count)],
        "baseline_score": np.clip(np.log(fleet) * 12, 0, 100).round().tolist(),
        "fleet_size": [None if number % 50 == 0 else value for number, value in enumerate(fleet.tolist())],
        "industry": stream.choice(["retail", "logistics"], count).tolist(),
    }
    asked = np.arange(count) % 3 > 0
    return Period(days_before(_DAY, 3)[day_number], columns, {"wins": Outcome(asked, happened & asked)})


_DAY = date(2026, 3, 1)
_SHAPE = Shape(words=("industry",), amounts=("fleet_size",))


def test_days_leave_room_for_windows_that_follow_each_other() -> None:
    assert [day.isoformat() for day in days_before(_DAY, 3)] == ["2025-06-03", "2025-09-01", "2025-11-30"]


def test_a_contest_judges_accounts_in_question_and_learns_from_the_past() -> None:
    contest = hold(join([_period(0), _period(1)]), _period(2), "wins", {REGRESSION: _SHAPE}, is_unwanted=False)
    told = contest.to_json()
    assert (told["accounts"], told["judged_accounts"]) == (2000, 2000)
    aucs = {name: figures["roc_auc"][0] for name, figures in told["rankings"].items()}
    assert aucs[BASELINE] > 0.6 and aucs[REGRESSION] > 0.6 and abs(aucs[RANDOM] - 0.5) < 0.05
    assert told["auc_of_baseline_less_regression"][0] == pytest.approx(aucs[BASELINE] - aucs[REGRESSION], abs=2e-4)
    unwanted = hold(join([_period(0), _period(1)]), _period(2), "wins", {REGRESSION: _SHAPE}, is_unwanted=True)
    assert unwanted.to_json()["rankings"][BASELINE]["roc_auc"][0] == pytest.approx(1 - aucs[BASELINE], abs=2e-4)
    for row in told["rankings"][BASELINE]["reliability"]:
        assert row["observed"] == pytest.approx(row["promised"], abs=0.08)


def test_the_regression_never_sees_the_outcomes_that_it_is_judged_on() -> None:
    past, later = _period(0), _period(2)
    turned = Period(
        later.day, later.columns, {"wins": Outcome(later.outcomes["wins"].is_asked, ~later.outcomes["wins"].happened)}
    )
    rankings = [hold(past, one, "wins", {REGRESSION: _SHAPE}, is_unwanted=False).rankings for one in (later, turned)]
    for name in (BASELINE, REGRESSION):
        assert np.array_equal(rankings[0][name].probabilities, rankings[1][name].probabilities), name


def test_words_that_the_past_did_not_know_are_no_reason_to_fail() -> None:
    past = _period(0)
    regression = Regression(_SHAPE, past.columns, past.outcomes["wins"].happened)
    probabilities = regression.predict({"industry": ["aviation"], "fleet_size": [None]})
    assert 0 < probabilities[0] < 1


def test_a_promise_keeps_the_order_of_scores() -> None:
    past = _period(0)
    promise = Promise(past.numbers("baseline_score"), past.outcomes["wins"].happened)
    assert (np.diff(promise.predict(np.arange(101.0))) > 0).all()


def test_what_the_model_said_is_judged_on_the_accounts_it_was_asked_about() -> None:
    contest = hold(_period(0), _period(2), "wins", {REGRESSION: _SHAPE}, is_unwanted=False)
    sample = draw_sample(contest.happened, 100)
    happened = contest.happened[sample.places]
    assert happened.sum() == 50 and sample.weights.sum() == pytest.approx(len(contest.happened))
    baselines = contest.rankings[BASELINE].scores[sample.places]
    leads = [
        {"lead_score": int(score) + (5 if kind else 0), "llm_score": None if kind else 1, "baseline_score": int(score)}
        for score, kind in zip(baselines, happened, strict=True)
    ]
    told = contest.add_answers(sample.places, sample.weights, Answers(leads, 1.0)).to_json()
    assert told["accounts"] == 2000 and told["judged_accounts"] == 100
    assert told["auc_of_final_less_baseline"][0] > 0
    assert told["rankings"][LLM]["roc_auc"][0] > 0.95, "without an answer the baseline stands in, mostly above 1"
    assert told["rankings"][FINAL]["roc_auc"][0] > told["rankings"][BASELINE]["roc_auc"][0]
