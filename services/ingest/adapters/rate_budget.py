"""A CRM's rate limit, shared by all workers: so many calls in any window of so many seconds, kept in Redis."""

import time
import uuid
from collections.abc import Callable
from typing import Any, Final

import redis

from shared.errors import TransientError

# Gives each call the moment from which it may go: at once, or a window after the call `limit` before it. Promised
# moments lie in the future, so waiting needs no polling and the order is that of asking. Redis' own clock counts.
_PROMISE: Final = """
local clock = redis.call('time')
local now = clock[1] * 1000000 + clock[2]
local window = tonumber(ARGV[2])
redis.call('zremrangebyscore', KEYS[1], '-inf', now - window)
local moment = math.max(now, tonumber(redis.call('get', KEYS[2]) or 0))
local before = redis.call('zrevrange', KEYS[1], ARGV[1] - 1, ARGV[1] - 1, 'withscores')
if before[2] then moment = math.max(moment, tonumber(before[2]) + window) end
local last = redis.call('zrevrange', KEYS[1], 0, 0, 'withscores')
if last[2] then moment = math.max(moment, tonumber(last[2])) end
redis.call('zadd', KEYS[1], string.format('%.0f', moment), ARGV[3])
redis.call('pexpire', KEYS[1], math.ceil((moment - now + window) / 1000) + 1000)
return string.format('%.0f', moment - now)
"""
_HOLD: Final = """
local clock = redis.call('time')
local until_moment = clock[1] * 1000000 + clock[2] + tonumber(ARGV[1])
if until_moment > tonumber(redis.call('get', KEYS[1]) or 0) then
  redis.call('set', KEYS[1], string.format('%.0f', until_moment), 'px', math.ceil(tonumber(ARGV[1]) / 1000) + 1000)
end
"""
_MICROSECONDS: Final = 1_000_000
_MARGIN: Final = 0.01  # a call that is late on its way would else meet those of the next window
_PATIENCE_SECONDS: Final = 30.0
_RETRY_SECONDS: Final = 0.5


class RateBudget:
    """`limit` calls in any `window_seconds`, over all processes that name it alike.

    Whoever asks waits until its call may go; a wait that is broken off gives its place back. A Redis that lost its
    memory has forgotten the last window: the CRM's 429 is what holds then.
    """

    def __init__(self, client: "redis.Redis", name: str, limit: int, window_seconds: float) -> None:
        self._client = client
        self._keys = [f"gtm:rate:{name}", f"gtm:rate:{name}:hold"]
        self._limit = limit
        self._window = int(window_seconds * (1 + _MARGIN) * _MICROSECONDS)
        self._promise = client.register_script(_PROMISE)
        self._hold = client.register_script(_HOLD)

    def acquire(self, pause: Callable[[float], None] = time.sleep) -> float:
        """Wait, by `pause`, for the moment at which one call may go. Returns the seconds waited.

        Raises:
            TransientError: `rate-budget-unavailable`, when Redis was away for 30 s.
            Whatever `pause` raises.
        """
        place = uuid.uuid4().hex
        wait = int(self._ask(lambda: self._promise(self._keys, [self._limit, self._window, place]), pause))
        seconds = wait / _MICROSECONDS
        if seconds > 0:
            try:
                pause(seconds)
            except BaseException:
                self._give_back(place)
                raise
        return seconds

    def hold(self, seconds: float) -> None:
        """Let nobody's call go for so long: the CRM said so to one of us. Redis being away is no matter here."""
        try:
            self._hold([self._keys[1]], [int(seconds * _MICROSECONDS)])
        except redis.RedisError:
            return

    def _give_back(self, place: str) -> None:
        try:
            self._client.zrem(self._keys[0], place)
        except redis.RedisError:
            return

    def _ask(self, call: Callable[[], Any], pause: Callable[[float], None]) -> Any:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return call()
            except redis.RedisError as error:
                if time.monotonic() > deadline:
                    raise TransientError(
                        f"Redis, which keeps the rate of requests that all workers share, can't be reached: {error}. "
                        "Check REDIS_URL. The job is tried again and goes on where it was.",
                        code="rate-budget-unavailable",
                        title="The shared rate budget can't be reached",
                    ) from error
            pause(_RETRY_SECONDS)


def open_rate_budget(redis_url: str, name: str, limit: int, window_seconds: float) -> RateBudget:
    """One by its name, such as `hubspot-search`, of the Redis that the workers share."""
    client = redis.Redis.from_url(redis_url, socket_timeout=5, socket_connect_timeout=3, health_check_interval=10)
    return RateBudget(client, name, limit, window_seconds)
