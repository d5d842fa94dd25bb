"""The account meant but not named: "They need repairs.", "The drivers are late.", "We service them.", "Why do ...?".

Once a pitch has spoken of the account, what follows is read as being about it. So a sentence after that begins as an
offer, a question or a word about our software does (`sequels`); what stands there bare ("Repairs are needed.") is a
statement that nothing bears out, and so is what `the drivers` or `the company` do. A sentence on what *we* do with the
account's things says that it is a customer, and a question after the reason of something says that it is so.
"""

from collections.abc import Iterator, Sequence

from services.scoring.domain.findings import Finding
from services.scoring.domain.policy import PitchPolicy, Sequels
from services.scoring.domain.statements import UNSUPPORTED
from services.scoring.domain.tokens import CLAUSE_ENDS, NAME, Tokens, to_tokens, token_at

_OUR_SIDE = frozenset(("we", "we'd", "we'll", "our", "ours", "us", "i", "i'd", "i'll", "i'm", "let", "let's"))
_MEANT = frozenset((NAME, f"{NAME}'s", "you", "you'd", "you'll", "your"))
_COUNTED = frozenset(("{fleet_size}", "{employees}", "{vehicle_type}"))
_POINTING = frozenset("they these those them everyone everybody everything nobody none all most many some".split())
_WISHING = frozenset(("like", "love", "hope", "want", "wish"))
_ASKING_LEAVE = frozenset("can could may might shall should would".split())
_JOINING = frozenset(("and", "but", "so", "or", "yet", "since", "because", "while", "as", "that"))
EVIDENCED = "it"  # what `checks` puts where a phrase stood that the data bears out
_SUBJECT_OF_OURS = 5
_MODAL_WITHIN, _POSSIBLE_WITHIN = 5, 7


def check_references(sentences: Sequence[str], policy: PitchPolicy) -> Iterator[Finding]:
    """What sentences say of the account by its context."""
    is_meant = False
    for sentence in sentences:
        tokens = to_tokens(sentence)
        is_question = token_at(tokens, len(tokens) - 1) == "?"
        clauses = list(_to_clauses(tokens))
        if is_meant and not is_question and not _is_sequel(tokens, clauses, policy):
            yield UNSUPPORTED
        about = is_meant or _means_account(tokens) or _is_evidenced(clauses)
        if any(_states_after(tokens, index, is_meant, policy) for index in range(len(tokens))):
            yield UNSUPPORTED
        if any(_points(clause, number, about, policy) for number, clause in _of_account(clauses, about)):
            yield UNSUPPORTED
        if any(_serves(tokens, index, is_meant, policy) for index in range(len(tokens))):
            yield UNSUPPORTED
        if is_question and _means_account(tokens) and any(_presumes(clause, policy.sequels) for clause in clauses):
            yield UNSUPPORTED
        is_meant = about


def _means_account(tokens: Tokens) -> bool:
    return not (_MEANT | _COUNTED).isdisjoint(tokens)


def _to_clauses(tokens: Tokens) -> Iterator[Tokens]:
    start = 0
    for index, token in enumerate((*tokens, ".")):
        if token in CLAUSE_ENDS:
            if index > start:
                yield tokens[start:index]
            start = index + 1


def _is_sequel(tokens: Tokens, clauses: Sequence[Tokens], policy: PitchPolicy) -> bool:
    """Whether a sentence goes on without stating anything of the account that was spoken of before."""
    if not clauses or _is_evidenced(clauses):
        return True
    for words in (" ".join(clauses[0]), " ".join(clauses[-1])):
        if any(f"{words} ".startswith(f"{phrase} ") for phrase in policy.sequels.phrases):
            return True
    if tokens[0] in policy.sequels.leading and len(clauses) > 1:
        return "our" in clauses[0] or _begins_as_offer(clauses[1], policy)
    return _begins_as_offer(clauses[0], policy)


def _begins_as_offer(clause: Tokens, policy: PitchPolicy) -> bool:
    first, second = clause[0], token_at(clause, 1)
    if first in _OUR_SIDE or first in _MEANT or first == "{industry}" or first in policy.sequels.starts:
        return True
    if first in policy.verb_forms and first.endswith("ing") and (second.startswith("{") or second == "them"):
        return True
    if first in policy.verbs and (second == "$" or second in policy.sequels.objects or second.startswith("{")):
        return True
    is_bad = not policy.judgements.isdisjoint(clause) or not policy.not_before.isdisjoint(clause)
    if first not in policy.sequels.possible or is_bad:
        return False
    return not policy.sequels.modals.isdisjoint(clause[1:_POSSIBLE_WITHIN])


def _is_evidenced(clauses: Sequence[Tokens]) -> bool:
    return bool(clauses) and list(clauses[0]) == [EVIDENCED]


def _states_after(tokens: Tokens, index: int, is_meant: bool, policy: PitchPolicy) -> bool:
    """Whether a clause within another states something: "that they need repairs", "because drivers are late"."""
    if not is_meant or tokens[index] not in policy.sequels.subordinating:
        return False
    subject, verb = token_at(tokens, index + 1), token_at(tokens, index + 2)
    if subject in ("they", "these", "those"):
        return verb not in policy.modals
    return subject in policy.evidence_of and verb in policy.sequels.states


def _of_account(clauses: Sequence[Tokens], is_meant: bool) -> Iterator[tuple[int, Tokens]]:
    """The clauses whose `the drivers` are the account's, and not those of everybody who has our software."""
    with_ours = bool(clauses) and "our" in clauses[0]
    is_general = with_ours and (clauses[0][0] == "with" or (clauses[0][0] == "our" and not is_meant))
    return iter(()) if is_general else enumerate(clauses)


def _points(clause: Tokens, number: int, is_meant: bool, policy: PitchPolicy) -> bool:
    """Whether a clause states something of `they` or, as what the account has, of `the drivers`."""
    while len(clause) > 1 and clause[0] in _JOINING:
        clause = clause[1:]
    names_owned = clause[0] == "the" and token_at(clause, 1) in policy.evidence_of and (is_meant or number == 0)
    if not names_owned and not (is_meant and number > 0 and clause[0] in _POINTING):
        return False
    rest = clause[2:] if names_owned else clause[1:]
    is_stated = not policy.verb_forms.isdisjoint(rest) or not policy.sequels.states.isdisjoint(rest)
    return is_stated and policy.sequels.modals.isdisjoint(clause[1:_MODAL_WITHIN])


def _serves(tokens: Tokens, index: int, is_meant: bool, policy: PitchPolicy) -> bool:
    """Whether `we` or `our ...` there is said to do something to what is the account's."""
    rest = tokens[index + 1 :]
    if tokens[index] not in ("we", "our", "us") or not (_means_account(rest) or (is_meant and "them" in rest)):
        return False
    if "{vehicle_type}" in rest and (_MEANT | _COUNTED - {"{vehicle_type}"}).isdisjoint(rest):
        return False  # what we do with trucks, whose ever they are
    before = token_at(tokens, index - 1)
    if tokens[index] == "us":
        return before == "let" and token_at(rest, 0) not in policy.sequels.wishes
    if tokens[index] == "we":
        if before in _ASKING_LEAVE:
            return False
        while rest and rest[0] in policy.sequels.between:
            rest = rest[1:]
        wished = token_at(rest, rest.index("to") + 1) if _WISHING.intersection(rest[:2]) and "to" in rest[:3] else ""
        return not _offers(rest, 0, policy.sequels.we) or (bool(wished) and wished not in policy.sequels.wishes)
    if before not in CLAUSE_ENDS and before not in _JOINING and before != "^":
        return False
    return not any(_offers(rest, at, policy.sequels.our) for at in range(_SUBJECT_OF_OURS))


def _offers(rest: Tokens, index: int, allowed: dict[str, frozenset[str]]) -> bool:
    word, following = token_at(rest, index), token_at(rest, index + 1)
    return word in allowed and (not allowed[word] or following in allowed[word])


def _presumes(clause: Tokens, sequels: Sequels) -> bool:
    """Whether a question takes for granted what it asks about: "Why do your vehicles break?"."""
    if not _means_account(clause):
        return False
    words = f"{' '.join(clause)} "
    is_open = any(words.startswith(f"{beginning} ") for beginning in sequels.questions)
    return (clause[0] in sequels.asking and not is_open) or "did" in clause
