"""What the three APIs have in common: `create_app()`, starting jobs, reading jobs, problems, health."""

from shared.http.app import create_app
from shared.http.guarding import guarded
from shared.http.json_routes import add_json_route
from shared.http.starting import add_start

__all__ = ["add_json_route", "add_start", "create_app", "guarded"]
