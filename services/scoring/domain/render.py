"""Slots filled by code, in the right units, and the pitch that is used when the model's own is refused."""

import re
from collections.abc import Mapping

from services.scoring.domain.names import NAMELESS, to_display_name
from services.scoring.domain.policy import PitchPolicy
from services.scoring.domain.profile import ACCOUNT_NAME_SLOT, FIELDS, AccountProfile, strengths

SLOT = re.compile(r"\{([a-z0-9_]+)\}")
_QUESTION = re.compile(r"((?:^|[.!?]\s+)(?:may|can|could|shall|would) (?:we|you)\b[^.!?]*)\.", re.IGNORECASE)
_SENTENCE_START = re.compile(r"(?:^|(?<=[.!?]\s))[a-z]")
_UNIT_FOLLOWS = {
    "fleet_size": re.compile(r"[\s-]+(\{vehicle_type\}|(vehicles?|vans?|trucks?|cars?|units?)\b)", re.IGNORECASE),
    "employees": re.compile(r"[\s-]+(employees?|people|staff)\b", re.IGNORECASE),
    "vehicle_type": re.compile(r"[\s-]+(vehicles?|fleets?)\b", re.IGNORECASE),
}


def render_value(profile: AccountProfile, name: str) -> str | None:
    """A field in words, None where it has no value. Counts have thousands separators and their unit."""
    if name == ACCOUNT_NAME_SLOT:
        return to_display_name(profile.account_name)
    value = profile.values.get(name)
    if value is None:
        return None
    field = FIELDS[name]
    if field.kind == "enum":
        return field.labels[str(value)]
    if field.kind == "money":
        return f"${value:,.0f}"
    if field.kind == "days":
        return "today" if value == 0 else f"{value:,} day{'' if value == 1 else 's'} ago"
    return f"{value:,} {field.unit[0] if value == 1 else field.unit[1]}"


def render_pitch(template: str, profile: AccountProfile) -> str:
    """The sentence as a person reads it, questions with their mark.

    One pass: a name that holds a slot of its own stays as it is.

    Raises:
        KeyError: a slot without a value; `checks.check_pitch` refuses those before.
    """

    def fill(match: re.Match[str]) -> str:
        name = match.group(1)
        text = render_value(profile, name)
        if text is None:
            raise KeyError(name)
        follows = _UNIT_FOLLOWS.get(name)
        if follows and follows.match(template, match.end()):  # "120 vehicles trucks" -> "120 trucks"
            text = text.removesuffix(" employees").removesuffix(" employee")
            text = text.removesuffix(" vehicles").removesuffix(" vehicle")
        return text

    filled = SLOT.sub(fill, _QUESTION.sub(r"\1?", template)).replace(f"{NAMELESS} team", "team")
    return _SENTENCE_START.sub(lambda start: start.group().upper(), " ".join(filled.split()))


def template_pitch(profile: AccountProfile, policy: PitchPolicy) -> str:
    """A pitch from the account's strongest factors, with nothing of the model in it. Same account, same words."""
    template = policy.template
    fit = _strongest(profile, "fit", template.fit) or template.fallback
    engagement = _strongest(profile, "engagement", template.engagement)
    return render_pitch(" ".join((template.greeting, fit, engagement, template.closing)), profile)


def _strongest(profile: AccountProfile, component: str, sentences: Mapping[str, str]) -> str:
    """The sentence on the strongest field of a component that has one, else nothing."""
    names = {factor.field for factor in profile.factors if factor.component == component}
    return next((sentences[name] for name in strengths(profile) if name in names and name in sentences), "")
