"""Why an account has the score that it has: the sum of its stored row, checked line by line."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from rich.text import Text

from cli.models import Lead, Reason
from cli.output import Output
from cli.text import moment, plain, signed, words

COMPONENTS: Final = ("fit", "engagement")
_MOST_PER_COMPONENT: Final = 50
_DIGITS: Final = 12  # of a hash: enough to tell versions apart
_CENT: Final = 0.005  # points have two decimals
_HALF: Final = 0.5  # scores are rounded to whole points; both warehouses round halves away from zero


@dataclass(frozen=True)
class Component:
    """Fit or engagement: its factors, strongest first, their sum, and the score that the row has for it."""

    name: str
    factors: tuple[Reason, ...]
    points: float
    score: int | None

    @property
    def is_clamped(self) -> bool:
        return not 0 <= self.points <= _MOST_PER_COMPONENT

    @property
    def adds_up(self) -> bool:
        """Whether the factors, clamped and rounded, are the score."""
        within = min(max(self.points, 0), _MOST_PER_COMPONENT)
        return self.score is not None and abs(within - self.score) <= _HALF + _CENT


@dataclass(frozen=True)
class Explanation:
    """The way from factors to tier. `differences`: what of the row doesn't follow from the rest of it, in words."""

    components: tuple[Component, ...]
    is_complete: bool
    wish: int | None
    """How far the model's score lies from the baseline; None without an answer."""
    adjustment: int
    bound: int | None
    differences: tuple[str, ...] = ()


def explain_lead(lead: Lead) -> Explanation:
    """From the row alone: neither the mart nor the weights of today have a part in it.

    A row of an older version holds its strongest factors only; then nothing can be added up, and nothing is.
    """
    is_complete = lead.factors is not None
    factors = lead.factors if lead.factors is not None else [item for item in lead.reasons if item.component != "llm"]
    components = tuple(_component(lead, name, factors) for name in COMPONENTS)
    wish = None if lead.llm_score is None else lead.llm_score - lead.baseline_score
    moved = lead.lead_score - lead.baseline_score
    explanation = Explanation(components, is_complete, wish, moved, lead.score_bound)
    return replace(explanation, differences=tuple(_differences(lead, explanation)))


def _component(lead: Lead, name: str, factors: Sequence[Reason]) -> Component:
    own = sorted(
        (item for item in factors if item.component == name), key=lambda item: (-abs(item.points), item.factor)
    )
    score = {"fit": lead.fit_score, "engagement": lead.engagement_score}[name]
    return Component(name, tuple(own), round(sum(item.points for item in own), 2), score)


def _differences(lead: Lead, explanation: Explanation) -> list[str]:
    found = []
    if explanation.is_complete:
        found += [
            f"the factors of {part.name} add up to {signed(part.points)}, which is not {part.score}"
            for part in explanation.components
            if not part.adds_up
        ]
    scores = [part.score for part in explanation.components]
    if None not in scores and sum(score or 0 for score in scores) != lead.baseline_score:
        found.append(f"fit and engagement are not the baseline {lead.baseline_score}")
    expected = _expected_adjustment(lead, explanation)
    if expected is not None and expected != explanation.adjustment:
        found.append(f"the adjustment is {explanation.adjustment:+d}, and {expected:+d} would follow from the bound")
    return found


def _expected_adjustment(lead: Lead, explanation: Explanation) -> int | None:
    """Within the bound, and never beyond 0 or 100; None where the row doesn't tell its bound."""
    if explanation.wish is None:
        return 0
    if explanation.bound is None:
        return None
    bounded = max(-explanation.bound, min(explanation.bound, explanation.wish))
    return max(0, min(100, lead.baseline_score + bounded)) - lead.baseline_score


def render_explanation(output: Output, lead: Lead, explanation: Explanation) -> None:
    """A line per step, from the factors to the tier."""
    output.say(f"{plain(lead.account_name or lead.account_id)}  ({plain(lead.account_id)})", "bold")
    for part in explanation.components:
        _render_component(output, part, is_complete=explanation.is_complete)
    if not explanation.is_complete:
        output.say("  This row is older than its reasons in full: it names its strongest factors only. Score it anew.")
    fit, engagement = (part.score for part in explanation.components)
    output.say(f"baseline    {lead.baseline_score:>4}  = fit {fit} + engagement {engagement}")
    output.say(f"adjustment  {explanation.adjustment:>+4}  {_model_part(lead, explanation)}")
    output.say(f"lead score  {lead.lead_score:>4}  tier {plain(lead.tier)}", "bold")
    if not lead.is_active:
        reason = {"customer": "it has become a customer", "gone": "it is in no mart any more"}
        why = reason.get(lead.inactive_reason or "", "no reason is stored")
        output.say(f"No active prospect any more: {why}. This is its last score.", "yellow")
    for difference in explanation.differences:
        output.note(f"This row contradicts itself: {difference}.", "bold red")
    _render_provenance(output, lead)


def _render_component(output: Output, part: Component, *, is_complete: bool) -> None:
    table = output.new_table("points", "of", part.name, "value", "reason")
    for column in table.columns[:2]:
        column.justify = "right"
    for item in part.factors:
        most = "" if item.max_points is None else f"{item.max_points:g}"
        texts = (signed(item.points), most, words(item.factor), plain(item.value or ""), plain(item.explanation))
        table.add_row(*map(Text, texts))
    output.table(table)
    if not is_complete:
        return
    clamp = f", clamped to 0..{_MOST_PER_COMPONENT}" if part.is_clamped else ""
    output.say(f"{signed(part.points):>6}  together{clamp}: {part.name} {part.score}")


def _model_part(lead: Lead, explanation: Explanation) -> str:
    if explanation.wish is None:
        return "the model gave no usable answer, so the baseline stands"
    said = f"the model said {lead.llm_score}, which is {explanation.wish:+d}"
    if explanation.bound is None:
        return said
    return f"{said}; it may move the baseline by {explanation.bound} at most"


def _render_provenance(output: Output, lead: Lead) -> None:
    """What was known, and by which rules it was judged; left out where the row doesn't say."""
    row = lead.model_extra or {}
    digest, weights = str(row.get("model_digest") or ""), str(row.get("weights_version") or "")
    facts = {
        "scored": f"{moment(lead.scored_at)} UTC by {lead.score_source}",
        "facts": row.get("refreshed_at") and f"as of {str(row['refreshed_at'])[:19].replace('T', ' ')} UTC",
        "weights": weights[:_DIGITS],
        "mart": row.get("dbt_run_id"),
        "model": row.get("model_name") and f"{row['model_name']} {digest[:_DIGITS]}",
        "prompt": row.get("prompt_version"),
        "rules": row.get("rules_version"),
        "job": row.get("job_id"),
    }
    for name, value in facts.items():
        if value:
            output.say(f"  {name:<8}{plain(str(value))}", "dim")
