"""`gtm score explain`: the stored row, added up; what doesn't add up is said."""

from typing import Any

import pytest

from tests.cli.conftest import Gtm
from tests.cli.server import Behaviour


def _factor(name: str, component: str, points: float, most: float, value: str) -> dict[str, Any]:
    explained = f"{name.replace('_', ' ')} is {value}"
    told = {"factor": name, "component": component, "points": points, "max_points": most, "value": value}
    return {**told, "explanation": explained}


@pytest.fixture
def lead(behaviour: Behaviour, two_leads: list[dict[str, Any]]) -> dict[str, Any]:
    """fit 20 + 18.5 + 14 = 52.5, clamped to 50; engagement 12.44 - 2 = 10.44, rounded to 10."""
    two_leads[0] |= {
        "fit_score": 50,
        "engagement_score": 10,
        "baseline_score": 60,
        "llm_score": 95,
        "lead_score": 70,
        "score_bound": 10,
        "tier": "B",
        "weights_version": "0123456789abcdef0123",
        "model_name": "llama3.1",
        "model_digest": "feedfacefeedface",
        "dbt_run_id": "invocation-7",
        "factors": [
            _factor("industry", "fit", 14, 14, "logistics"),
            _factor("fleet_size", "fit", 20, 20, "400"),
            _factor("employees", "fit", 18.5, 18.5, "900"),
            _factor("recency", "engagement", 12.44, 12.5, "1"),
            _factor("engaged_contacts", "engagement", -2, 7, "0"),
        ],
    }
    return two_leads[0]


def _lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_each_step_from_the_factors_to_the_tier_is_shown(gtm: Gtm, lead: dict[str, Any]) -> None:
    ended = gtm("score", "explain", "hubspot:17")

    lines = _lines(ended.stdout)
    assert (ended.exit_code, ended.stderr) == (0, "")
    for shown in (
        "+20 20 fleet size 400 fleet size is 400",
        "-2 7 engaged contacts 0 engaged contacts is 0",
        "+52.5 together, clamped to 0..50: fit 50",
        "+10.4 together: engagement 10",
        "baseline 60 = fit 50 + engagement 10",
        "adjustment +10 the model said 95, which is +35; it may move the baseline by 10 at most",
        "lead score 70 tier B",
        "weights 0123456789ab",
        "model llama3.1 feedfacefeed",
        "mart invocation-7",
    ):
        assert shown in lines, (shown, ended.stdout)
    stronger, weaker = "+20 20 fleet size 400 fleet size is 400", "+14 14 industry logistics industry is logistics"
    assert lines.index(stronger) < lines.index(weaker)


def test_json_is_the_lead_as_the_service_sent_it(gtm: Gtm, lead: dict[str, Any]) -> None:
    shown = gtm("score", "explain", "hubspot:17", "--json").json()
    assert {name: shown[name] for name in lead} == lead


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"fit_score": 49, "baseline_score": 59}, "the factors of fit add up to +52.5, which is not 49"),
        ({"engagement_score": 12, "baseline_score": 62}, "the factors of engagement add up to +10.4, which is not 12"),
        ({"baseline_score": 61}, "fit and engagement are not the baseline 61"),
        ({"lead_score": 71}, "the adjustment is +11, and +10 would follow from the bound"),
        ({"llm_score": None}, "the adjustment is +10, and +0 would follow from the bound"),
    ],
    ids=["fit", "engagement", "baseline", "bound", "no-answer"],
)
def test_a_row_that_contradicts_itself_is_told(
    gtm: Gtm, lead: dict[str, Any], change: dict[str, Any], told: str
) -> None:
    lead |= change
    assert told in " ".join(gtm("score", "explain", "hubspot:17").stderr.split())


def test_the_adjustment_ends_at_a_hundred(gtm: Gtm, lead: dict[str, Any]) -> None:
    lead |= {"engagement_score": 46, "baseline_score": 96, "llm_score": 100, "lead_score": 100}
    lead["factors"][3]["points"] = 48.0
    ended = gtm("score", "explain", "hubspot:17")
    assert ended.stderr == "" and "adjustment +4 the model said 100, which is +4" in " ".join(_lines(ended.stdout))


def test_a_row_without_all_factors_says_so_and_adds_nothing_up(gtm: Gtm, lead: dict[str, Any]) -> None:
    del lead["factors"], lead["score_bound"]
    ended = gtm("score", "explain", "hubspot:17")
    assert "names its strongest factors only" in ended.stdout
    assert "+18 fleet size a fleet of 400" in " ".join(_lines(ended.stdout))
    assert "together" not in ended.stdout and ended.stderr == ""


@pytest.mark.parametrize(
    ("reason", "said"), [("customer", "it has become a customer"), ("gone", "it is in no mart any more")]
)
def test_a_lead_that_is_no_prospect_any_more_says_so(gtm: Gtm, lead: dict[str, Any], reason: str, said: str) -> None:
    assert "prospect any more" not in gtm("score", "explain", "hubspot:17").stdout
    lead |= {"is_active": False, "inactive_reason": reason}
    assert f"No active prospect any more: {said}" in gtm("score", "explain", "hubspot:17").stdout


def test_an_unknown_account_and_lost_options_end_with_2(gtm: Gtm, lead: dict[str, Any], behaviour: Behaviour) -> None:
    assert gtm("score", "explain", "nope").exit_code == 2
    refused = gtm("score", "--dry-run", "explain", "hubspot:17")
    assert refused.exit_code == 2 and "--dry-run" in refused.stderr
    assert behaviour.starts == []


def test_a_value_from_the_crm_does_not_steer_the_terminal(gtm: Gtm, lead: dict[str, Any]) -> None:
    lead["factors"][0] |= {"value": "[red]x\x1b[2J", "explanation": "a\nb\u202e"}
    stdout = gtm("score", "explain", "hubspot:17").stdout
    assert "[red]x[2J" in stdout and "\x1b" not in stdout and "\u202e" not in stdout
