"""Chunks made side by side and given in order: each has a random stream of its own, so the rows don't depend on it."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")

_THREADS: Final = 2  # numpy and Arrow work without the interpreter's lock, but not all of the time


def in_order(makers: Iterable[Callable[[], T]]) -> Iterator[T]:
    """What each maker makes, in their order; no more than three are made or waiting to be taken.

    Raises:
        Exception: what a maker raised, at its turn. The ones begun before are waited for, also when the reader stops.
    """
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="mock") as pool:
        begun: deque[Future[T]] = deque()
        for maker in makers:
            begun.append(pool.submit(maker))
            if len(begun) > _THREADS:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
