"""Answers about some of what was asked for: the rest is asked for again, and nothing is deleted meanwhile."""

from collections.abc import Callable
from typing import Any

import pytest

from shared.errors import TransientError
from tests.fakes.hubspot import FakeHubSpot
from tests.ingest.conftest import Query
from tests.ingest.hubspot.conftest import SyncHubSpot

PAIRS = "select contact_id, company_id from raw.hubspot_contact_companies where not is_deleted order by 1, 2"
TROUBLE = {"status": "error", "category": "INTERNAL_ERROR", "message": "try again", "context": {}}
Answer = dict[str, Any]


def _associations(hubspot: FakeHubSpot, change: Callable[[Answer], Answer]) -> None:
    hubspot.change_answer = lambda request, answer: change(answer) if "/associations/" in request else answer


@pytest.fixture
def pairs(hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot, query: Query) -> list[tuple[Any, ...]]:
    """Three contacts of one company each, landed, and then changed."""
    portal = hubspot.portal
    contacts = [portal.create("contacts", email=f"{name}@x.example").id for name in "abc"]
    for contact in contacts:
        portal.link("contacts", contact, "companies", portal.create("companies").id)
    sync_hubspot(objects=["contacts"])
    portal.now += 600_000
    portal.update("contacts", contacts, phone="1")
    landed = query(PAIRS)
    assert len(landed) == 3
    return landed


def test_associations_that_hubspot_can_t_tell_just_now_are_asked_for_again(
    hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot, query: Query, pairs: list[tuple[Any, ...]]
) -> None:
    left = iter(range(4))

    def only_one(answer: Answer) -> Answer:
        if next(left, None) is None:
            return answer
        return {**answer, "results": answer["results"][:1], "errors": [TROUBLE], "numErrors": 1}

    _associations(hubspot, only_one)
    sync_hubspot(objects=["contacts"])
    assert query(PAIRS) == pairs


def test_associations_that_hubspot_can_t_tell_at_all_end_the_sync(
    hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot, query: Query, pairs: list[tuple[Any, ...]]
) -> None:
    first: list[Answer] = []

    def first_alone(answer: Answer) -> Answer:
        first.append(answer)
        return {"results": answer["results"][:1] if len(first) == 1 else [], "errors": [TROUBLE]}

    _associations(hubspot, first_alone)
    with pytest.raises(TransientError, match="without records that it was asked for"):
        sync_hubspot(objects=["contacts"])
    assert query(PAIRS) == pairs
    _associations(hubspot, lambda answer: answer)
    sync_hubspot(objects=["contacts"])
    assert query(PAIRS) == pairs


def test_rest_of_a_long_list_of_associations_is_never_given_up(
    hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot, query: Query
) -> None:
    portal = hubspot.portal
    contact = portal.create("contacts", email="a@x.example").id
    for _ in range(5):
        portal.link("contacts", contact, "companies", portal.create("companies").id)
    sync_hubspot(objects=["contacts"])
    pairs = query(PAIRS)
    portal.now += 600_000
    portal.update("contacts", [contact], phone="1")
    hubspot.crm.most_links = 2
    answers: list[Answer] = []

    def silent_after_the_first(answer: Answer) -> Answer:
        answers.append(answer)
        return answer if len(answers) == 1 else {"results": []}

    _associations(hubspot, silent_after_the_first)
    with pytest.raises(TransientError):
        sync_hubspot(objects=["contacts"])
    assert query(PAIRS) == pairs
    answers.clear()
    _associations(hubspot, lambda answer: answers.append(answer) or (answer if len(answers) != 2 else {"results": []}))
    sync_hubspot(objects=["contacts"])
    assert query(PAIRS) == pairs


def test_contact_without_associations_of_which_nothing_is_said_has_none(
    hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot, query: Query, pairs: list[tuple[Any, ...]]
) -> None:
    portal = hubspot.portal
    portal.unlink("contacts", int(pairs[0][0]), "companies", int(pairs[0][1]))
    _associations(hubspot, lambda answer: {"results": answer["results"]})
    sync_hubspot(objects=["contacts"])
    assert query(PAIRS) == pairs[1:]


def test_sender_of_whom_hubspot_can_t_tell_just_now_is_asked_for_again(
    hubspot: FakeHubSpot, sync_hubspot: SyncHubSpot, query: Query
) -> None:
    contact = hubspot.portal.create("contacts", email="a@x.example").id
    hubspot.activity.add_submission("form", "a@x.example")
    troubled = iter([{"results": [], "errors": [TROUBLE]}])
    hubspot.change_answer = lambda request, answer: (
        next(troubled, answer) if "/contacts/batch/read" in request else answer
    )
    sync_hubspot(objects=["form_submissions"])
    assert query("select contact_id from raw.hubspot_form_submissions") == [(str(contact),)]
