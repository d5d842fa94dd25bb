"""What the three APIs have in common: `create_app()`, starting jobs, reading jobs, problems, health."""

from shared.http.app import create_app
from shared.http.starting import IdempotencyKeyHeader, start_job, start_responses

__all__ = ["IdempotencyKeyHeader", "create_app", "start_job", "start_responses"]
