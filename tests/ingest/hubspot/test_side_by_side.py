"""Streams read at once: nothing lost, each in its order, and one failure ends all."""

import threading
from collections.abc import Iterator

import pytest

from services.ingest.adapters.hubspot.side_by_side import SideBySide
from services.ingest.domain.sources import Checkpoint, SourceEvent, SyncStopped


def stream(name: str, length: int) -> Iterator[SourceEvent]:
    for number in range(length):
        yield Checkpoint(name, {"number": number})


def crm_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "crm-stream" and thread.is_alive()]


def test_every_event_comes_once_and_in_the_order_of_its_stream() -> None:
    names = [f"stream-{number}" for number in range(7)]
    threads = SideBySide(lambda seconds: None, at_once=3)
    events = [event for event in threads.read([lambda name=name: stream(name, 50) for name in names])]  # type: ignore
    for name in names:
        own = [one.cursor["number"] for one in events if isinstance(one, Checkpoint) and one.stream == name]
        assert own == list(range(50))
    assert crm_threads() == []


def test_one_failure_is_raised_and_ends_the_others() -> None:
    def endless() -> Iterator[SourceEvent]:
        while True:
            threads.pause(0)
            yield Checkpoint("endless", {})

    def broken() -> Iterator[SourceEvent]:
        yield Checkpoint("broken", {})
        raise LookupError("gone")

    threads = SideBySide(lambda seconds: None, at_once=2)
    with pytest.raises(LookupError, match="gone"):
        list(threads.read([endless, broken]))
    assert crm_threads() == []


def test_a_sync_that_is_to_end_ends_the_streams() -> None:
    stop = threading.Event()

    def pause(seconds: float) -> None:
        if stop.is_set():
            raise SyncStopped

    def endless() -> Iterator[SourceEvent]:
        while True:
            threads.pause(0)
            yield Checkpoint("endless", {})

    threads = SideBySide(pause, at_once=4)
    events = threads.read([endless] * 4)
    next(events)
    stop.set()
    with pytest.raises(SyncStopped):
        list(events)
    assert crm_threads() == []


def test_a_consumer_that_leaves_ends_the_streams() -> None:
    threads = SideBySide(lambda seconds: None, at_once=2)
    events = threads.read([lambda: stream("long", 10_000)] * 2)
    next(events)
    events.close()  # type: ignore[attr-defined]  # a generator
    assert crm_threads() == []
