"""What Prometheus is told of HTTP: how many requests, how they ended, how long they took.

Own code beside prometheus_client, for its price: the instrumentators find a request's route a second time, which takes
longer than answering a poll.
"""

from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Histogram

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class HttpMetrics:
    """`http_requests_total` by method, handler and status (2xx, 4xx, ...); `http_request_duration_seconds` by method
    and handler. A handler is a route as it is declared: what callers send makes no new series."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("method", "handler")
        self._requests = Counter("http_requests", "Requests answered", (*labels, "status"), registry=registry)
        self._seconds = Histogram(
            "http_request_duration_seconds",
            "From a request's head to the last byte of its answer",
            labels,
            buckets=_SECONDS,
            registry=registry,
        )
        self._children: dict[tuple[str, str, int], tuple[Any, Any]] = {}  # `labels()` takes longer than counting

    def note(self, method: str, route: object, status: int, seconds: float) -> None:
        """One request; `route` is None where none was found."""
        key = (method, str(getattr(route, "path", "none")), status // 100)
        children = self._children.get(key) or self._add(key)
        children[0].inc()
        children[1].observe(seconds)

    def _add(self, key: tuple[str, str, int]) -> tuple[Any, Any]:
        method, handler, hundreds = key
        known = method if method in _METHODS else "other"
        children = (self._requests.labels(known, handler, f"{hundreds}xx"), self._seconds.labels(known, handler))
        if method == known:
            self._children[key] = children
        return children
