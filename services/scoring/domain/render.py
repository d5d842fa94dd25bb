"""Slots filled by code, in the right units, and the pitch that is used when the model's own is refused."""

import re
from collections.abc import Mapping

from services.scoring.domain.names import NAMELESS, to_display_name
from services.scoring.domain.policy import PitchPolicy
from services.scoring.domain.profile import ACCOUNT_NAME_SLOT, FIELDS, AccountProfile, strengths

VEHICLE_TYPE = "vehicle_type"
SLOT = re.compile(r"\{([a-z0-9_]+)\}")
_QUESTION = re.compile(r"((?:^|[.!?]\s+)(?:may|can|could|shall|would) (?:we|you)\b[^.!?]*)\.", re.IGNORECASE)
_SENTENCE_START = re.compile(r"(?:^|(?<=[.!?]\s))[a-z](?!\w*[A-Z0-9])")  # not of `eBay`
_UNIT_FOLLOWS = {
    "vehicle_type": re.compile(r"[\s-]+(vehicles?|fleets?)\b", re.IGNORECASE),
}
# A count with the noun that the sentence gives it, and what the two may describe: `{fleet_size} {vehicle_type} fleet`.
_COUNTED = re.compile(
    r"\{(?P<name>fleet_size|employees)\}(?:(?P<gap>[\s-]+)"
    r"(?P<noun>\{vehicle_type\}|(?:vehicles?|vans?|trucks?|cars?|units?|employees?|people|staff)\b))?"
    r"(?P<described>[\s-]+(?:fleets?|company|business|teams?|operations?)\b)?",
    re.IGNORECASE,
)
_ONE = {"people": "person", "staff": "employee"}
_COUNTABLE = {"heavy equipment": "heavy-equipment vehicles"}


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
        if follows and follows.match(counted, match.end()):  # "mixed vehicles vehicles" -> "mixed vehicles"
            text = text.removesuffix(" vehicles")
        return text

    counted = _COUNTED.sub(lambda match: _count(match, profile), _QUESTION.sub(r"\1?", template))
    filled = SLOT.sub(fill, counted).replace(f"{NAMELESS} team", "team")
    return _SENTENCE_START.sub(lambda start: start.group().upper(), " ".join(filled.split()))


def _count(match: re.Match[str], profile: AccountProfile) -> str:
    """A count and what follows it, as one says it: "1 truck", "60 heavy-equipment vehicles", "a 60-vehicle fleet"."""
    name, noun, described = match["name"].lower(), match["noun"], match["described"] or ""
    value = profile.values.get(name)
    if noun == f"{{{VEHICLE_TYPE}}}":
        noun = render_value(profile, VEHICLE_TYPE)
        noun = noun and _COUNTABLE.get(noun, noun)
    if value is None or (match["noun"] and noun is None) or not (noun or described):
        return match.group()
    noun = noun or FIELDS[name].unit[1]
    if described and " " not in noun:
        return f"{value:,}-{_to_one(noun)}{described}"
    return f"{value:,}{match['gap'] or ' '}{_to_one(noun) if value == 1 else noun}{described}"


def _to_one(noun: str) -> str:
    return _ONE.get(noun.lower(), noun.removesuffix("s"))


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
