"""What a pitch may not say, and what is said instead when the model's own pitch is refused.

The words live in `prompts/pitch_policy.yml`, which a RevOps person edits.
"""

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.scoring.domain.profile import ACCOUNT_NAME_SLOT, FIELDS


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TemplatePitch(_Frozen):
    """Greeting, a sentence on fit (else `fallback`), one on engagement if there is any, closing.

    Sentences go by the field that they speak about; slots as in the model's pitches.
    """

    greeting: str
    fit: dict[str, str]
    fallback: str
    engagement: dict[str, str]
    closing: str


class SlotContext(_Frozen):
    """A slot is in its place after one of these words, or before one of those; `{slot}` stands for another slot."""

    after: list[str]
    before: list[str] = []


class PitchPolicy(_Frozen):
    """All phrases are matched as whole words, in any letter case."""

    version: str = Field("", description="hash of the file, set by its reader")
    min_chars: int = Field(ge=1)
    max_chars: int = Field(ge=1, le=2000)
    banned_phrases: list[str]
    number_words: list[str]
    # field -> phrases that deny it; refused where the field has a value
    denials: dict[str, list[str]]
    # field -> value -> words that belong to that value; refused for an account with another value
    exclusive_words: dict[str, dict[str, list[str]]]
    # words that may follow {account_name} -> whether they say something about it, which then needs a slot as evidence
    account_words: dict[str, bool]
    # slot -> where it makes sense; `^` after which is a sentence's start
    slot_contexts: dict[str, SlotContext]
    known_names: list[str]
    company_suffixes: list[str]
    template: TemplatePitch

    @model_validator(mode="after")
    def _names_fields(self) -> "PitchPolicy":
        for part, names in (
            ("denials", self.denials),
            ("slot_contexts", self.slot_contexts),
            ("exclusive_words", self.exclusive_words),
            ("template.fit", self.template.fit),
            ("template.engagement", self.template.engagement),
        ):
            unknown = sorted(set(names) - set(FIELDS) - {ACCOUNT_NAME_SLOT})
            if unknown:
                raise ValueError(f"{part}: unknown field {', '.join(unknown)}; known are {', '.join(FIELDS)}")
        return self
