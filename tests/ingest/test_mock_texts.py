"""Text made in arrays is the text that Python would write, and chunks made side by side come in order."""

import threading
from functools import partial
from itertools import count

import numpy as np
import pytest

from services.ingest.domain.batches import to_utc_text
from services.ingest.domain.mock.chunks import in_order
from services.ingest.domain.mock.texts import hex_texts, iso_texts, numbered_texts, take, to_pool

NUMBERS = np.array([0, 7, 9_999, 10_000, 123_456_789, 999_999_999], dtype=np.int64)


@pytest.mark.parametrize("width", (9, 10, 12))
def test_numbers_have_leading_zeros(width: int) -> None:
    assert numbered_texts("pv-", NUMBERS, width).to_pylist() == [f"pv-{n:0{width}d}" for n in NUMBERS.tolist()]


def test_hexadecimal_numbers() -> None:
    numbers = np.array([0, 255, 2**48 - 1, 0x0123456789AB], dtype=np.int64)
    assert hex_texts("v", numbers, 12).to_pylist() == [f"v{n:012x}" for n in numbers.tolist()]


def test_moments_are_iso_texts_and_what_landing_makes_of_them() -> None:
    edges = ["1969-12-31T23:59:59.999", "1970-01-01", "2024-02-29T23:59:59.001", "2026-12-31T00:00:00.060"]
    random = np.random.default_rng(1).integers(1_600_000_000_000, 1_800_000_000_000, 500).view("datetime64[ms]")
    moments = np.append(np.array(edges, dtype="datetime64[ms]"), random)
    written, updated_at = iso_texts(moments)
    assert written.to_pylist() == [f"{text}Z" for text in np.datetime_as_string(moments).tolist()]
    assert updated_at.equals(to_utc_text(written))


def test_no_rows_are_no_texts() -> None:
    nothing = np.array([], dtype=np.int64)
    made = (numbered_texts("a", nothing, 3), hex_texts("a", nothing, 3), *iso_texts(nothing.view("datetime64[ms]")))
    assert [array.to_pylist() for array in made] == [[]] * 4


def test_taking_leaves_out_what_is_not_known() -> None:
    pool = to_pool(["a", None, "c"])
    taken = take(pool, np.array([2, 1, 0, 2]), np.array([True, True, False, True]))
    assert taken.to_pylist() == ["c", None, None, "c"]


def test_chunks_come_in_order_though_a_later_one_is_ready_first() -> None:
    second_is_ready = threading.Event()

    def first() -> str:
        assert second_is_ready.wait(30), "the second is not made beside the first"
        return "first"

    def second() -> str:
        second_is_ready.set()
        return "second"

    assert list(in_order([first, second])) == ["first", "second"]


def test_no_more_than_three_chunks_are_made_ahead_of_the_reader() -> None:
    begun: list[int] = []

    chunks = in_order(partial(_note, begun, number) for number in count())
    for taken in range(5):
        assert next(chunks) == taken
        assert len(begun) <= taken + 3
    chunks.close()  # type: ignore[attr-defined]  # it is a generator
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("mock")]


def test_what_a_chunk_raises_comes_at_its_turn() -> None:
    def fail() -> int:
        raise ValueError("broken")

    chunks = in_order([lambda: 1, fail, lambda: 3])
    assert next(chunks) == 1
    with pytest.raises(ValueError, match="broken"):
        next(chunks)


def _note(begun: list[int], number: int) -> int:
    begun.append(number)
    return number
