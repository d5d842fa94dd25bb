"""For whom a statement runs: what Snowflake's query history keeps as QUERY_TAG, so that cost can be told by job."""

import json
from typing import Final

import structlog

APPLICATION: Final = "fleet_gtm"
_MOST_CHARACTERS: Final = 2000  # Snowflake's limit


def current_query_tag() -> str:
    """JSON: `app`, and where a job runs in this context its `job_id` and `kind`. dbt adds the `model` (its macros).

    The context is the one that log lines have (shared/jobs/runner.py binds it), so threads that carry it carry the tag.
    """
    context = structlog.contextvars.get_contextvars()
    return to_query_tag(**{name: context.get(bound) for name, bound in (("job_id", "job_id"), ("kind", "job_kind"))})


def to_query_tag(**about: str | None) -> str:
    """The same text for the same facts, so that a session that has it need not be told again."""
    facts = {"app": APPLICATION, **{name: value for name, value in about.items() if value}}
    return json.dumps(facts, separators=(", ", ": "))[:_MOST_CHARACTERS]
