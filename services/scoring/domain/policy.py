"""What a pitch may say, and what is said instead when the model's own pitch is refused.

The words live in `prompts/pitch_policy.yml`, which a RevOps person edits.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from services.scoring.domain.profile import ACCOUNT_NAME_SLOT, FIELDS


def _split(text: Any) -> Any:
    return text.split() if isinstance(text, str) else text


Words = Annotated[frozenset[str], BeforeValidator(_split)]


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
    """A slot is in its place after one of these words, and before one of those; `^` is a sentence's start, `,` any
    punctuation or the end, `<verb>` and `<adverb>` any of the policy's, `{slot}` another slot. An empty `before` allows
    all."""

    after: list[str]
    before: list[str] = []


class OwnedWords(_Frozen):
    """Words that may follow `your`, and the fields of which one must have a value above zero (none: always)."""

    evidence: list[str]
    words: Words


class Sequels(_Frozen):
    """How a sentence may go on once the account was spoken of, `references.py` says how.

    `phrases` are beginnings; `starts` first words, `possible` those that need one of `modals` after them; `leading` the
    first words of a clause before the main one; `objects` what follows a verb that is an order; `subordinating` what
    may not come before a statement, the verbs of which are `states` and all others; `we` and `our` map a verb after
    them, adverbs `between`, to what must follow it (nothing: any); what we would like to do is one of `wishes`. A
    question about the account that begins with one of `asking` must begin as one of `questions`.
    """

    phrases: list[str]
    starts: Words
    leading: Words
    objects: Words
    modals: Words
    possible: Words
    states: Words
    subordinating: Words
    between: Words
    wishes: Words
    we: dict[str, Words]
    our: dict[str, Words]
    asking: Words
    questions: list[str]


class PitchPolicy(_Frozen):
    """All phrases are matched as whole words, in any letter case. `statements.py` says how the lists of words work."""

    version: str = Field("", description="hash of the file, set by its reader")
    min_chars: int = Field(ge=1)
    max_chars: int = Field(ge=1, le=2000)
    banned_phrases: list[str]
    number_words: list[str]
    competitors: list[str]
    # field -> phrases that deny it; refused where the field has a value
    denials: dict[str, list[str]]
    # field -> value -> words that belong to that value; refused for an account with another value
    exclusive_words: dict[str, dict[str, list[str]]]
    # field -> phrases about what the account did; allowed where the field speaks for the account
    evidenced_phrases: dict[str, list[str]]
    owned_words: list[OwnedWords]
    owned_adjectives: Words
    stating_verbs: Words
    stating_between: Words
    stated_with: Words
    joined_with: Words
    not_before: Words
    neutral_followers: Words
    modals: Words
    kept_states: Words
    governors: Words
    embedders: Words
    telling: list[str]
    helping: Words
    serving: Words
    offers: Words
    openers: Words
    judgements: Words
    adverbs: Words
    shares: Words
    followers: dict[str, Words]
    sequels: Sequels
    slot_contexts: dict[str, SlotContext]
    known_names: list[str]
    company_suffixes: list[str]
    verbs: Words
    words: Words
    template: TemplatePitch

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """Every word that a pitch may hold, lower case; `exclusive_words` of other values are refused elsewhere."""
        lists = [words for values in self.exclusive_words.values() for words in values.values()]
        exclusive = [phrase for words in lists for phrase in words]
        names = {name.lower() for name in self.known_names}
        grammar = self.adverbs | self.stating_verbs | self.modals | self.kept_states | set(self.evidence_of)
        return (
            self.words | self.verb_forms | names | grammar | {word for phrase in exclusive for word in phrase.split()}
        )

    @cached_property
    def verb_forms(self) -> frozenset[str]:
        """The verbs with their endings."""
        return frozenset(form for verb in self.verbs for form in _to_forms(verb))

    @cached_property
    def evidence_of(self) -> dict[str, list[str]]:
        """Word after `your` -> the fields that show it."""
        return {word: owned.evidence for owned in self.owned_words for word in owned.words}

    @model_validator(mode="after")
    def _names_fields(self) -> "PitchPolicy":
        for part, names in (
            ("denials", self.denials),
            ("slot_contexts", self.slot_contexts),
            ("exclusive_words", self.exclusive_words),
            ("evidenced_phrases", self.evidenced_phrases),
            ("owned_words", [field for owned in self.owned_words for field in owned.evidence]),
            ("template.fit", self.template.fit),
            ("template.engagement", self.template.engagement),
        ):
            unknown = sorted(set(names) - set(FIELDS) - {ACCOUNT_NAME_SLOT})
            if unknown:
                raise ValueError(f"{part}: unknown field {', '.join(unknown)}; known are {', '.join(FIELDS)}")
        return self


def _to_forms(verb: str) -> Iterator[str]:
    """A verb with -s, -es, -ies and -ing in every spelling that might be one; too many of them do no harm."""
    yield from (verb, f"{verb}s", f"{verb}es", f"{verb}ing", f"{verb}{verb[-1]}ing", f"{verb.removesuffix('e')}ing")
    yield f"{verb.removesuffix('ie')}ying"
    if verb.endswith("y"):
        yield f"{verb[:-1]}ies"
