"""What the model may answer about one account; anything else is refused, nothing is repaired."""

import json
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.scoring.domain.profile import FIELDS, Polarity

MAX_PITCH_CHARS = 240
MAX_CLAIMS = 3
NextAction = Literal["book_demo", "call", "email", "nurture", "wait"]


class AnswerRefused(Exception):
    """`code` is the reject row's reason_code; `reason` is told to the model when it is asked once more."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Claim(_Strict):
    """A field and which way it speaks. The sentence about it is written by code, from the data."""

    field: str
    polarity: Polarity


class LeadAnswer(_Strict):
    """`lead_score` is 0..100; `pitch` holds `{slots}` for every fact and no digit of its own.

    The properties are in alphabetical order on purpose: Ollama keeps a schema's order for some models and sorts it for
    others, and the claims should come before the score that rests on them.
    """

    claims: list[Claim] = Field(min_length=1, max_length=MAX_CLAIMS)
    lead_score: int = Field(ge=0, le=100)
    next_action: NextAction
    pitch: str = Field(min_length=20, max_length=MAX_PITCH_CHARS)


# Written out, not generated: grammar converters stumble over $ref, regex and repetitions of 2000 and more.
ANSWER_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "claims": {
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_CLAIMS,
            "items": {
                "type": "object",
                "properties": {
                    "field": {"type": "string", "enum": list(FIELDS)},
                    "polarity": {"type": "string", "enum": list(get_args(Polarity))},
                },
                "required": ["field", "polarity"],
                "additionalProperties": False,
            },
        },
        "lead_score": {"type": "integer", "minimum": 0, "maximum": 100},
        "next_action": {"type": "string", "enum": list(get_args(NextAction))},
        "pitch": {"type": "string", "minLength": 20, "maxLength": MAX_PITCH_CHARS},
    },
    "required": ["claims", "lead_score", "next_action", "pitch"],
    "additionalProperties": False,
}


_KEYS = frozenset((*LeadAnswer.model_fields, *Claim.model_fields))


def parse_answer(text: str) -> LeadAnswer:
    """The answer in `text`, which may have white space around it and nothing else: no fence, no prose.

    Raises:
        AnswerRefused: `empty-answer`, `not-json` or `schema-violated`, naming the field.
    """
    stripped = text.strip()
    if not stripped:
        raise AnswerRefused("empty-answer", "The answer was empty.")
    try:
        content = json.loads(stripped, object_pairs_hook=_unique)
    except ValueError as error:
        raise AnswerRefused("not-json", f"The answer was not one JSON object: {error}.") from error
    except RecursionError as error:
        raise AnswerRefused("not-json", "The answer was nested too deeply.") from error
    try:
        answer = LeadAnswer.model_validate(content)
    except ValidationError as error:
        raise AnswerRefused("schema-violated", _describe(error)) from error
    for claim in answer.claims:
        if claim.field not in FIELDS:
            raise AnswerRefused("schema-violated", f"claims.field: one of {', '.join(FIELDS)}.")
    return answer


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON keeps the last of two equal keys; which one the model meant can't be known."""
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a key occurs twice")
    return content


def _describe(error: ValidationError) -> str:
    """Field and rule, without the model's own words."""
    parts = [
        f"{'.'.join(_name(part) for part in item['loc']) or 'answer'}: {item['msg']}"
        for item in error.errors(include_input=False, include_url=False)[:3]
    ]
    return "; ".join(parts) + "."


def _name(part: int | str) -> str:
    """A key that the model made up is told to nobody: the next question would hold it."""
    return str(part) if isinstance(part, int) or part in _KEYS else "another key"
