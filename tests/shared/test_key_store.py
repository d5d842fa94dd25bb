"""API keys in the operations database, on both kinds of it; and how long a service still believes a revoked one."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from shared.access.audit import read_entries, verify_chain
from shared.access.callers import COMMAND_LINE, Caller
from shared.access.key_ring import AWAY_SECONDS, CACHED_SECONDS, KeyRing
from shared.access.key_store import KeyStore
from shared.access.keys import mint_key
from shared.access.refusals import Unauthorised
from shared.doctor.access import examine_keys
from shared.errors import InvalidRequest, NotFound, TransientError
from shared.operations.database import OperationsDatabase
from shared.operations.models import ApiKey
from shared.settings import AppSettings, OperationsSettings


@pytest.fixture
def keys(operations: OperationsDatabase) -> KeyStore:
    return KeyStore(operations)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def identify(ring: KeyRing, text: str) -> str:
    return asyncio.run(ring.identify(text, "127.0.0.1")).name


def refusal(ring: KeyRing, text: str) -> str:
    with pytest.raises(Unauthorised) as refused:
        identify(ring, text)
    assert refused.value.headers["WWW-Authenticate"].startswith("Bearer ")
    return refused.value.detail


def test_a_key_lives_from_its_creation_to_its_end_and_the_log_tells_both(
    keys: KeyStore, operations: OperationsDatabase
) -> None:
    created = keys.create("nightly", ["run", "read"], caller=COMMAND_LINE, lifetime=timedelta(days=90))
    found = keys.find(created.stored.key_id)
    assert found == created.stored and found.scopes == {"run", "read"}
    assert found.expires_at == found.created_at + timedelta(days=90)
    with operations.read() as session:
        row = session.scalars(sa.select(ApiKey)).one()
        assert created.text.split("_", 2)[2] not in str(vars(row))
    for _ in range(2):  # again changes nothing
        revoked = keys.revoke(found.key_id, caller=COMMAND_LINE)
        assert revoked.revoked_at == keys.read_all()[0].revoked_at is not None
        assert revoked.state(datetime.now(UTC)) == "revoked" and not keys.has_active()
    with pytest.raises(NotFound, match="no key"):
        keys.revoke("aaaaaaaaaaaa", caller=COMMAND_LINE)
    log = read_entries(operations, limit=10)
    assert [(entry["action"], entry["target"], entry["actor"]) for entry in log] == [
        ("key.revoke", found.key_id, "cli"),
        ("key.create", found.key_id, "cli"),
    ]
    assert log[1]["detail"] == {"name": "nightly", "scopes": ["read", "run"]}
    assert verify_chain(operations).is_whole


def test_two_keys_of_a_name_are_a_rotation_and_a_third_is_refused(keys: KeyStore) -> None:
    first, second = (keys.create("sync", ["run"], caller=COMMAND_LINE).stored for _ in range(2))
    with pytest.raises(InvalidRequest) as refused:
        keys.create("sync", ["run"], caller=COMMAND_LINE)
    assert refused.value.code == "key-limit" and f"gtm keys revoke {first.key_id}" in refused.value.detail
    keys.create("other", ["run"], caller=COMMAND_LINE)
    keys.revoke(first.key_id, caller=COMMAND_LINE)
    keys.create("sync", ["run"], caller=COMMAND_LINE, lifetime=timedelta(microseconds=1))
    third = keys.create("sync", ["run"], caller=COMMAND_LINE).stored  # that one has expired at once
    states = {key.key_id: key.state(datetime.now(UTC)) for key in keys.read_all() if key.name == "sync"}
    assert [states.pop(key.key_id) for key in (first, second, third)] == ["revoked", "active", "active"]
    assert list(states.values()) == ["expired"]


def test_a_revoked_key_is_believed_for_two_seconds_and_no_longer(keys: KeyStore) -> None:
    clock = Clock()
    ring = KeyRing(keys, clock=clock)
    created = keys.create("sync", ["run"], caller=COMMAND_LINE)
    assert identify(ring, created.text) == "sync"
    keys.revoke(created.stored.key_id, caller=COMMAND_LINE)
    clock.now += CACHED_SECONDS - 0.01
    assert identify(ring, created.text) == "sync"
    clock.now += 0.01
    assert "revoked" in refusal(ring, created.text)
    assert CACHED_SECONDS <= 2


def test_only_who_knows_the_secret_learns_what_became_of_the_key(keys: KeyStore) -> None:
    ring = KeyRing(keys)
    created = keys.create("sync", ["run"], caller=COMMAND_LINE, lifetime=timedelta(microseconds=1))
    other_secret = f"gtm_{created.stored.key_id}_{mint_key().text.split('_', 2)[2]}"
    assert "has expired" in refusal(ring, created.text)
    assert refusal(ring, other_secret) == refusal(ring, mint_key().text)
    assert "No such key" in refusal(ring, other_secret)
    assert "is no key" in refusal(ring, "Bearer")


def test_nobody_is_let_in_while_nobody_can_be_looked_up(keys: KeyStore, operations: OperationsDatabase) -> None:
    clock = Clock()
    ring = KeyRing(keys, clock=clock)
    created = keys.create("sync", ["run"], caller=COMMAND_LINE)
    assert identify(ring, created.text) == "sync"
    clock.now += CACHED_SECONDS

    def cut(*_: object) -> None:
        raise sa.exc.OperationalError("select", {}, ConnectionError("away"))

    sa.event.listen(operations.engine, "before_cursor_execute", cut)
    with pytest.raises(TransientError) as away:
        identify(ring, created.text)
    assert (away.value.status, away.value.code) == (503, "operations-unavailable")
    sa.event.remove(operations.engine, "before_cursor_execute", cut)
    with pytest.raises(TransientError):
        identify(ring, created.text)  # it was away a moment ago: that is answered without asking
    clock.now += AWAY_SECONDS
    assert identify(ring, created.text) == "sync"


def test_a_use_is_noted_and_never_set_back(keys: KeyStore) -> None:
    key_id = keys.create("sync", ["run"], caller=COMMAND_LINE).stored.key_id
    later, earlier = datetime(2026, 5, 2, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)
    for moment in (later, earlier):
        keys.note_uses({key_id: moment, "aaaaaaaaaaaa": moment})
    assert keys.read_all()[0].last_used_at == later


def test_the_doctor_tells_who_can_not_call_soon(
    keys: KeyStore, operations: OperationsDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = operations.engine.url.render_as_string(hide_password=False)
    settings = OperationsSettings(GTM_OPERATIONS_URL=url)  # type: ignore[call-arg]  # by its variable's name

    def found(env: str = "production") -> tuple[str, str]:
        finding = examine_keys(AppSettings(GTM_ENV=env), settings)  # type: ignore[call-arg, arg-type]
        return finding.outcome, " ".join((finding.said, *finding.mends))

    assert found("local")[0] == "ok"
    assert found() == ("warn", "There is none: nobody can call. gtm keys create --name NAME --scope read --scope run")
    ending = keys.create("nightly", ["run", "read"], caller=COMMAND_LINE, lifetime=timedelta(days=13)).stored
    outcome, said = found()
    assert outcome == "warn" and ending.key_id in said and "--name nightly --scope read --scope run" in said
    keys.create("nightly", ["run", "read"], caller=COMMAND_LINE)
    assert found() == ("ok", "2 active, of 1 names")
    monkeypatch.setenv("GTM_API_TOKEN", "of-an-earlier-release")
    assert found()[0] == "fail" and "of-an-earlier" not in found()[1]


def test_a_scope_of_a_later_release_opens_nothing_and_is_in_nobody_s_way(
    keys: KeyStore, operations: OperationsDatabase
) -> None:
    created = keys.create("later", ["read"], caller=COMMAND_LINE)
    with operations.write() as session:
        session.execute(sa.update(ApiKey).values(scopes=["read", "fly"]))
    assert [key.scopes for key in keys.read_all()] == [{"read"}]
    assert asyncio.run(KeyRing(keys).identify(created.text, None)).scopes == {"read"}
    assert keys.revoke(created.stored.key_id, caller=COMMAND_LINE).revoked_at is not None


def test_a_refusal_knows_which_key_was_tried(keys: KeyStore) -> None:
    created = keys.create("sync", ["read"], caller=COMMAND_LINE)
    key_id = created.stored.key_id
    wrong = f"gtm_{key_id}_{'A' * 43}"

    def refused(text: str) -> Caller | None:
        with pytest.raises(Unauthorised) as raised:
            asyncio.run(KeyRing(keys).identify(text, "192.0.2.1"))
        return raised.value.caller

    assert refused(mint_key().text) is None
    assert refused(wrong) == Caller("anonymous", key_id=key_id, address="192.0.2.1")
    keys.revoke(key_id, caller=COMMAND_LINE)
    assert refused(created.text) == Caller("sync", frozenset({"read"}), key_id, "192.0.2.1")
    assert refused(wrong) == Caller("anonymous", key_id=key_id, address="192.0.2.1")
