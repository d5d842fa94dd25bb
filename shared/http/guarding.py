"""What stands before a route: the key's scope, then the caller's rate."""

from collections.abc import Sequence
from typing import Literal

from fastapi import Depends, Request
from fastapi.params import Depends as Dependency

from shared.http.access import RequireScope, require_scope
from shared.http.rates import RateLimits

KeyScope = Literal["read", "run", "admin"]


def guarded(scope: KeyScope) -> list[Dependency]:
    """`dependencies` of a route."""
    return [require_scope(scope), Depends(_stay_within_rate)]


async def check_guards(request: Request, guards: Sequence[Dependency]) -> None:
    """What `guarded(scope)` has, for a route that runs them itself instead of leaving them to FastAPI."""
    for guard in guards:
        assert guard.dependency is not None
        await guard.dependency(request)


def scope_of(dependencies: Sequence[Dependency]) -> str | None:
    """What a route asks for; None: it is open, or has a door of its own (webhooks)."""
    return next((one.dependency.scope for one in dependencies if isinstance(one.dependency, RequireScope)), None)


def caller_name(request: Request) -> str:
    """Who was let in: a key's name, which outlives the key when it is rotated, or `local`."""
    name: str = request.state.caller.name
    return name


async def _stay_within_rate(request: Request) -> None:
    rates: RateLimits = request.app.state.rates
    rates.take(caller_name(request))
