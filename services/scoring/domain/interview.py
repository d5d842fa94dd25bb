"""One account's questions and answers as a generator that does no I/O: it yields a question and is sent the reply.

The ladder: cut off -> more tokens, once; broken off -> another seed; not the JSON asked for -> asked once more with the
error; a check fails -> asked once more with the reasons, then the template pitch. What is left without any readable
answer keeps its computed baseline, and says so.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

from services.scoring.domain.answer import AnswerRefused, LeadAnswer, parse_answer
from services.scoring.domain.checks import check_claims, check_pitch, supported_claims
from services.scoring.domain.findings import Finding
from services.scoring.domain.policy import PitchPolicy
from services.scoring.domain.profile import AccountProfile
from services.scoring.domain.prompt import Message, Prompt, build_messages
from services.scoring.domain.render import render_pitch, template_pitch
from services.scoring.domain.score import to_seed

MAX_ATTEMPTS = 3
_MAX_RAW_CHARS = 4000


@dataclass(frozen=True)
class ModelReply:
    """One answer as the server gave it. `is_done` False: it broke off (endless repeats) and counted nothing."""

    text: str
    is_done: bool = True
    is_cut: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0
    duration_ms: int = 0


class QuestionFailed(Exception):
    """Thrown into the interview: the server was there and failed on this question, again and again."""


@dataclass(frozen=True)
class Question:
    """What to ask next."""

    messages: list[Message]
    seed: int
    num_predict: int


@dataclass(frozen=True)
class Refusal:
    """A refused answer: the makings of one `score_rejects` row."""

    attempt: int
    code: str
    reason: str
    raw_answer: str


@dataclass
class Interview:
    """What came of it. `answer` None: no readable answer; `is_failed`: the server gave none at all to some question.

    `pitch` is rendered: the model's own if it passed the checks, else the template's.
    """

    profile: AccountProfile
    pitch: str
    answer: LeadAnswer | None = None
    raw_answer: str | None = None  # what `answer` was read from
    has_own_pitch: bool = False
    is_failed: bool = False
    refusals: list[Refusal] = field(default_factory=list)
    attempts: int = 0
    seed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    duration_ms: int = 0

    @property
    def account_id(self) -> str:
        """Of its profile."""
        return self.profile.account_id

    @property
    def supported_claims(self) -> list[dict[str, str]]:
        """The model's claims that the data bears out."""
        claims = self.answer.claims if self.answer else []
        return [item.model_dump() for item in supported_claims(claims, self.profile)]

    def count(self, reply: ModelReply) -> None:
        """Add one reply's cost."""
        self.attempts += 1
        self.prompt_tokens += reply.prompt_tokens
        self.completion_tokens += reply.completion_tokens
        self.duration_ms += reply.duration_ms

    def refuse(self, code: str, reason: str, raw_answer: str) -> None:
        """Note a refused answer of the current attempt."""
        self.refusals.append(Refusal(self.attempts, code, reason, raw_answer[:_MAX_RAW_CHARS]))


def interview(
    profile: AccountProfile, prompt: Prompt, policy: PitchPolicy, num_predict: int
) -> Generator[Question, ModelReply, Interview]:
    """Ask until an answer passes, or each rung of the ladder was used once; at most `MAX_ATTEMPTS` questions."""
    outcome = Interview(profile, "")
    yield from _ask_until_good(outcome, prompt, policy, num_predict)
    if not outcome.has_own_pitch:
        outcome.pitch = template_pitch(profile, policy)
    return outcome


def _ask_until_good(
    outcome: Interview, prompt: Prompt, policy: PitchPolicy, num_predict: int
) -> Generator[Question, ModelReply, None]:
    profile = outcome.profile
    reasons: list[str] = []
    used: set[str] = set()
    while outcome.attempts < MAX_ATTEMPTS:
        outcome.seed = to_seed(profile.profile_hash, outcome.attempts + 1)
        try:
            reply = yield Question(build_messages(prompt, profile, reasons), outcome.seed, num_predict)
        except QuestionFailed as failure:
            outcome.attempts += 1
            outcome.refuse("model-error", str(failure), "")
            outcome.is_failed = True
            return
        outcome.count(reply)
        rung, reasons = _judge(reply, outcome, policy)
        if not rung or rung in used:
            return
        used.add(rung)
        if rung == "truncated":
            num_predict *= 2


def _judge(reply: ModelReply, outcome: Interview, policy: PitchPolicy) -> tuple[str, list[str]]:
    """The rung of the ladder that this reply calls for (empty: none) and what to tell the model."""
    if not reply.is_done:
        outcome.refuse("aborted", "The server broke the answer off: it repeated itself.", reply.text)
        return "aborted", []
    try:
        answer = parse_answer(reply.text)
    except AnswerRefused as refused:
        if reply.is_cut:
            outcome.refuse("truncated", "The answer reached the token limit before its end.", reply.text)
            return "truncated", []
        outcome.refuse(refused.code, refused.reason, reply.text)
        return "unreadable", [refused.reason]
    outcome.answer, outcome.raw_answer = answer, reply.text[:_MAX_RAW_CHARS]
    pitch_findings = check_pitch(answer.pitch, outcome.profile, policy)
    findings = [*pitch_findings, *check_claims(answer.claims, outcome.profile)]
    if findings:
        outcome.refuse(findings[0].code, _join(findings), reply.text)
        return "checks", [_join(findings)]
    outcome.pitch = render_pitch(answer.pitch, outcome.profile)
    outcome.has_own_pitch = True
    return "", []


def _join(findings: Sequence[Finding]) -> str:
    return " ".join(dict.fromkeys(finding.reason for finding in findings))
