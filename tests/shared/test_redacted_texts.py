"""Texts without secrets: what stays, what is cut, and how long it takes."""

import json
import time

import pytest

from shared.errors import GtmError, InvalidRequest
from shared.redaction import hide, hide_renewed, redact

SECRET = "s3cr3tOfLettersAlone"
_UNITS = (
    "a.",
    "-eyJ",
    "eyJaaaaaaaa.",
    "a@a.",
    "a%40",
    "://a:",
    "Bearer a",
    "Bearer ",
    "?a_",
    "token",
    "token:",
    "token: ",
    "token='",
    "secret=\\\\",
    "Authorization: a ",
    '\\\\"a',
    "-----BEGIN A",
    "-----BEGIN PRIVATE KEY-----END ",
    "whsec_",
    "gtm_",
)


@pytest.mark.parametrize("unit", _UNITS)
def test_a_text_four_times_as_long_takes_no_more_than_some_four_times_as_long(unit: str) -> None:
    """By the processor's time and the best of a few runs, so that a busy machine changes little."""
    hide(SECRET)

    def seconds(characters: int) -> float:
        text = unit * (characters // len(unit))
        taken = []
        for _ in range(3):
            begun = time.thread_time()
            redact(text)
            taken.append(time.thread_time() - begun)
        return min(taken)

    assert seconds(24_000) < 9 * max(seconds(6_000), 0.0002)  # the square: 16 times


def test_a_long_text_is_cut_and_no_half_of_a_secret_is_left() -> None:
    hide(SECRET)
    for before in range(0, 300, 7):
        shown = redact("x" * before + f" {SECRET}" * 2_000, most=1_000)
        assert len(shown) < 1_050 and SECRET[:4] not in shown and shown.endswith(" characters)")
    problem = InvalidRequest("y" * 1_000_000, names=["z" * 1_000_000, 1]).to_problem()
    assert len(problem["detail"]) < 5_000 and len(problem["names"][0]) < 5_000 and problem["names"][1] == 1


def test_of_what_is_renewed_the_last_few_are_known() -> None:
    hide(SECRET)
    hide_renewed("")
    for number in range(100):
        hide_renewed(f"00Dxx0000001!AQ-of-login-{number:03}")
        assert redact(f"{SECRET} 00Dxx0000001!AQ-of-login-{number:03}") == "*** ***"
    hide_renewed("00Dxx0000001!AQ-of-login-090")  # the one in use, in another thread
    assert redact("00Dxx0000001!AQ-of-login-095") == "***"
    assert redact("00Dxx0000001!AQ-of-login-001") != "***"


def test_words_and_ids_stay_as_they_are() -> None:
    hide("pass")
    for text in (
        "preflight_passed",
        "a bearer of news",
        "Basic auth",
        "http://127.0.0.1:8101/v1/jobs?cursor=abc&limit=2",
        "redis://10.0.0.1:6379/0",
        "postgresql://gtm@db.example.com/gtm",
        "0f8fad5b-d9cb-469f-a165-70867728950e",
        "tokens: 320",
        "GTM_SNOWFLAKE_ALLOW_PASSWORD=true",
        "the token: renew it",
        "Send the header `Authorization: Bearer <key>`; `gtm keys create` makes a key.",
        '{"a": "@example.com", "b": "x"}',
    ):
        assert redact(text) == text
    assert redact("pass word") == "*** word"


def test_a_problem_holds_no_secret() -> None:
    hide(SECRET)
    for error in (
        GtmError(f"refused {SECRET}", code="internal-error", title="t", words=[{"a": SECRET}], count=3),
        InvalidRequest("duplicate value jane@example.com found"),
    ):
        shown = json.dumps(error.to_problem())
        assert SECRET not in shown and "jane" not in shown
    assert error.to_problem()["status"] == 422


def test_a_password_that_is_a_common_word_changes_no_code() -> None:
    hide("snowflake")
    problem = GtmError("of snowflake", code="snowflake-away", title="t", status=503).to_problem()
    assert list(problem.items())[:3] == [("type", "/problems/snowflake-away"), ("title", "t"), ("status", 503)]
    assert (problem["code"], problem["detail"]) == ("snowflake-away", "of ***")
