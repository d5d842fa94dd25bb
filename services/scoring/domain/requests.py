"""What a job's request asks to be scored."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from shared.contracts import AccountScope, LoadScope, ScoringRequest
from shared.errors import InvalidRequest


def to_scoring_request(request: Mapping[str, Any]) -> ScoringRequest:
    """Raises InvalidRequest naming the first field that is wrong."""
    try:
        return ScoringRequest.model_validate(dict(request))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InvalidRequest(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from error


def to_rescore_request(request: Mapping[str, Any], most_accounts: int) -> ScoringRequest:
    """Of one account (`{account_id, force?}`), or of the first `most_accounts` that a load has changed (`{load_id}`).

    Raises:
        InvalidRequest: it names neither.
    """
    if isinstance(load_id := request.get("load_id"), str) and load_id:
        return ScoringRequest(scope=LoadScope(load_id=load_id), limit=most_accounts)
    if not isinstance(account_id := request.get("account_id"), str) or not account_id:
        raise InvalidRequest("account_id: the account to rescore, as analytics.dim_accounts names it.")
    return ScoringRequest(scope=AccountScope(account_ids=[account_id]), force=bool(request.get("force", False)))
