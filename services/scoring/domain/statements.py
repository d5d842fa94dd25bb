"""What a pitch says about the account without a slot, found word by word.

A closed vocabulary can't lie about what it has no words for; what it can still say about an account is found where the
account is spoken of: `{account_name}`, `you`, `your ...`. Such a mention may end its clause, take a modal verb, be what
"help" or a question is about, or be followed by a stating verb and then a fact's slot. Anything else is a statement
that nothing bears out. English of short sales texts; what doesn't fit is refused, not understood.
"""

from collections.abc import Iterator

from services.scoring.domain.findings import Finding
from services.scoring.domain.policy import PitchPolicy, SlotContext
from services.scoring.domain.profile import AccountProfile
from services.scoring.domain.tokens import CLAUSE_ENDS, NAME, Tokens, is_fact, to_tokens, token_at

_COPULAS = frozenset(("is", "are", "was", "were", "it's", "that's", "remain", "remains", "stay", "stays"))
_BELONGING = frozenset(("at", "from", "of", "by", "in"))
_SHARING = frozenset(("of", "each", "every", "all", "one", "any"))
_NEAR = 3
_KEEPING = frozenset(("keep", "keeps", "keeping"))
UNSUPPORTED = Finding(
    "unsupported-statement", "pitch: say nothing about {account_name}, you or your team that no slot shows."
)


def check_statements(sentence: str, profile: AccountProfile, policy: PitchPolicy) -> Iterator[Finding]:
    """Every statement of one sentence that no slot shows, and every slot that says something else where it stands."""
    tokens = to_tokens(sentence)
    for index, token in enumerate(tokens):
        if token in policy.followers and token_at(tokens, index + 1) not in policy.followers[token]:
            yield UNSUPPORTED
        if (
            token == "of"
            and token_at(tokens, index - 1) in policy.shares
            and _is_of_account(token_at(tokens, index + 1))
            and not (token_at(tokens, index - 1) == "part" and _is_yes_or_no(tokens))
        ):
            yield UNSUPPORTED
        if is_fact(token) or token == NAME:
            yield from _check_place(tokens, index, policy)
        if _is_served(tokens, index, policy):
            if not policy.offers.intersection(_clause_before(tokens, index)):
                yield UNSUPPORTED
    mentions = list(_find_mentions(tokens, profile, policy))
    if any(end is None or not _says_nothing(tokens, start, end, policy) for start, end in mentions):
        yield UNSUPPORTED
    is_of_account = any(token_at(tokens, start - 1) in _BELONGING for start, _ in mentions)
    is_ours = token_at(tokens, 0) in policy.openers or token_at(tokens, 0) in policy.verbs
    if is_of_account and not is_ours and not sentence.rstrip().endswith("?"):
        yield UNSUPPORTED
    words = f" {' '.join(tokens)} "
    if (mentions or any(map(is_fact, tokens))) and any(f" {phrase} " in words for phrase in policy.telling):
        yield UNSUPPORTED
    is_judgement = _COPULAS.intersection(tokens) and policy.judgements.intersection(tokens)
    if mentions and is_judgement and not sentence.rstrip().endswith("?"):
        yield Finding("unsupported-statement", "pitch: do not judge the account's work or troubles.")


def _is_yes_or_no(tokens: Tokens) -> bool:
    """As "Are vehicles part of your business?" is."""
    return tokens[0] in ("is", "are") and tokens[-1] == "?"


def _is_served(tokens: Tokens, index: int, policy: PitchPolicy) -> bool:
    """Whether the account is what somebody helps or shows something: it has our software, unless that is an offer."""
    before = token_at(tokens, index - 1)
    if tokens[index] == NAME:
        return before in policy.helping
    return tokens[index] == "your" and index > 1 and before in policy.serving


def _find_mentions(tokens: Tokens, profile: AccountProfile, policy: PitchPolicy) -> Iterator[tuple[int, int | None]]:
    """Where the account is spoken of: first token, and the one after the last; None where it is said to own something
    that the data doesn't show."""
    for index, token in enumerate(tokens):
        if token == NAME:
            yield index, index + 1 + (token_at(tokens, index + 1) in ("team", "teams"))
        elif token in ("you", "you'd"):
            yield index, index + 1
        elif token in ("your", "its", f"{NAME}'s"):
            yield index, _end_of_owned(tokens, index + 1, profile, policy)


def _end_of_owned(tokens: Tokens, index: int, profile: AccountProfile, policy: PitchPolicy) -> int | None:
    """The token after the noun that `your` belongs to."""
    while token_at(tokens, index) in policy.owned_adjectives or token_at(tokens, index) == "{industry}":
        index += 1
    start = index
    while True:
        token = token_at(tokens, index)
        evidence = policy.evidence_of.get(token)
        if evidence is not None:
            if evidence and not any(profile.values.get(field) for field in evidence):
                return None
        elif token == "of" and index > start and is_fact(token_at(tokens, index + 1)):
            pass  # "its fleet of {fleet_size}"
        elif not is_fact(token):
            return index if index > start or token_at(tokens, start - 1) == "{industry}" else None
        index += 1


def _says_nothing(tokens: Tokens, start: int, end: int, policy: PitchPolicy) -> bool:
    """Whether what follows a mention leaves the account as the data has it."""
    following, before = token_at(tokens, end), token_at(tokens, start - 1)
    if before in policy.not_before:
        return False
    if following in CLAUSE_ENDS or following == "$" or following in policy.modals or tokens[start] == "you'd":
        return True
    if following in policy.stating_verbs and _states_facts(tokens, end + 1, policy):
        return True
    clause = _clause_before(tokens, start)
    if _asks_within(clause, policy):
        return True
    if following in policy.kept_states and _KEEPING.intersection(clause):
        return True
    near = clause[-_NEAR:] if tokens[start] == "you" else clause
    governed = bool(policy.governors.intersection(near)) or (bool(clause) and clause[0] in policy.verbs)
    if following in policy.verbs or following == "be":
        return governed
    if following in ("and", "or"):
        return _joins(token_at(tokens, end + 1), governed, policy)
    return following in policy.neutral_followers or following in policy.adverbs or following.startswith("{")


def _asks_within(clause: Tokens, policy: PitchPolicy) -> bool:
    """Whether "where", "how" or the like comes right before, or with a share such as "each of"."""
    words = list(clause)
    while words and words[-1] in _SHARING:
        words.pop()
    return bool(words) and words[-1] in policy.embedders


def _joins(following: str, governed: bool, policy: PitchPolicy) -> bool:
    """Whether what comes after `and` goes on without stating anything."""
    known = following in policy.joined_with or following in policy.adverbs or following in policy.evidence_of
    return known or following.startswith("{") or (governed and following in policy.verbs)


def _states_facts(tokens: Tokens, index: int, policy: PitchPolicy) -> bool:
    """Whether facts' slots are all that is stated from here to the end of the clause."""
    while token_at(tokens, index) in policy.stating_between:
        index += 1
    if not is_fact(token_at(tokens, index)):
        return False
    while is_fact(token_at(tokens, index)) or token_at(tokens, index) in policy.stated_with:
        index += 1
    if token_at(tokens, index) in policy.stating_verbs:  # "... and runs {fleet_size}"
        return token_at(tokens, index - 1) == "and" and _states_facts(tokens, index + 1, policy)
    return token_at(tokens, index) == "$" or token_at(tokens, index) in CLAUSE_ENDS


def _clause_before(tokens: Tokens, start: int) -> Tokens:
    begin = start
    while begin > 0 and tokens[begin - 1] not in CLAUSE_ENDS:
        begin -= 1
    return tokens[begin:start]


def _check_place(tokens: Tokens, index: int, policy: PitchPolicy) -> Iterator[Finding]:
    slot = tokens[index].removesuffix("'s")
    place = policy.slot_contexts.get(slot[1:-1])
    if place and not (_fits_after(tokens, index, place, policy) and _fits_before(tokens, index, place, policy)):
        yield Finding("misplaced-slot", f"pitch: {slot} makes no sense where it stands.")


def _fits_after(tokens: Tokens, index: int, place: SlotContext, policy: PitchPolicy) -> bool:
    one = token_at(tokens, index - 1)
    if one in CLAUSE_ENDS:
        one = ","
    before_it = (
        f"{token_at(tokens, index - 2)} {one}",
        f"{token_at(tokens, index - 3)} {token_at(tokens, index - 2)} {one}",
    )
    if "<verb>" in place.after and one in policy.verb_forms:
        return True
    return one in place.after or any(words in place.after for words in before_it)


def _fits_before(tokens: Tokens, index: int, place: SlotContext, policy: PitchPolicy) -> bool:
    if not place.before:
        return True
    one = token_at(tokens, index + 1)
    if one in CLAUSE_ENDS or one == "$":
        one = ","
    kinds = {"<verb>": policy.verbs, "<adverb>": policy.adverbs}
    for kind, words in kinds.items():
        if (kind in place.before and one in words) or (
            f"{one} {kind}" in place.before and token_at(tokens, index + 2) in words
        ):
            return True
    return one in place.before or f"{one} {token_at(tokens, index + 2)}" in place.before


def _is_of_account(token: str) -> bool:
    return token in ("your", "its") or token.startswith("{")
