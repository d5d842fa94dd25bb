"""What a build is about to run, and what of an earlier one it may take over."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.transform.domain.run_results import NodeResult
from shared.errors import TerminalError


@dataclass(frozen=True)
class BuildPlan:
    """What must be the same when a later build runs the rest. `root_id`: the build whose rest this one runs, else its
    own id."""

    root_id: str
    settings_version: str
    project_version: str
    full_refresh: bool


@dataclass(frozen=True)
class Remainder:
    """What a build left undone. `chain`: the root, the retries of it in their order, and the build itself; `names`:
    what dbt selects in order to make up for it, more than `unique_ids` where a test failed."""

    chain: tuple[str, ...]
    plan: BuildPlan
    unique_ids: frozenset[str]
    names: tuple[str, ...]
    root_started_at: datetime

    def require_same_settings(self, settings_version: str) -> None:
        """Raises TerminalError: `build-settings-changed` (409)."""
        if self.plan.settings_version != settings_version:
            raise TerminalError(
                f"Build {self.chain[-1]} ran with other settings, with other scoring weights or on another day (UTC), "
                "which what it built before it failed depends on too. Start a new build without retry_of.",
                code="build-settings-changed",
                title="The settings are not those of that build",
                status=409,
                build_id=self.chain[-1],
            )

    def is_made_up_by(self, results: Iterable[NodeResult], project_version: str, *, is_disturbed: bool) -> bool:
        """Whether these results, all good, leave the marts as if the root had succeeded: the whole rest ran, with the
        project that the part before it was built with, and nothing that it stands on was changed in between."""
        ran = {result.unique_id for result in results}
        return self.unique_ids <= ran and self.plan.project_version == project_version and not is_disturbed


def settings_version(variables: Mapping[str, Any], versions: Mapping[str, str]) -> str:
    """Digest of all that the marts depend on besides RAW and the project: dbt's vars, the day that the windows of this
    build end on among them, and the versions of dbt and of the public suffix list."""
    content = {"variables": variables, "versions": versions}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
