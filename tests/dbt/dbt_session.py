"""dbt inside this process: parsed once, then run again and again on small DuckDB files; dbt's own start costs seconds.

dbt keeps its state in module globals, so this belongs in a process of its own: tests start one with `-m`.
"""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest
from dbt.contracts.graph.nodes import ModelNode

from services.transform.adapters.weights_file import read_scoring_weights

REPOSITORY = Path(__file__).parents[2]
AS_OF = "2026-03-01"
# The visits' model keeps a hash of its SQL in its config, so that a change of it starts the table over.
_READ_BY_PARSING = ("date_orders",)
_PROFILE = """
fleet_gtm:
  target: duckdb
  outputs:
    duckdb:
      type: duckdb
      path: "{{ env_var('GTM_DUCKDB_CORE_PATH', 'core.duckdb') }}"
      schema: analytics
      threads: 1
      settings: {threads: 1, autoinstall_known_extensions: false, autoload_known_extensions: false}
"""


class DbtFailed(Exception):
    """A node ended in an error; the message holds what dbt said of each."""


class DbtSession:
    """One parsed project. One thread everywhere: on a hundred rows threads only wait for each other."""

    def __init__(self, project_dir: Path, work_dir: Path) -> None:
        self.project_dir = project_dir
        self.work_dir = work_dir
        work_dir.mkdir(parents=True, exist_ok=True)
        (work_dir / "profiles.yml").write_text(_PROFILE)
        weights, version = read_scoring_weights(REPOSITORY / "config" / "scoring_weights.yml")
        self.variables: dict[str, Any] = {
            "scoring_weights": weights.to_rows(),
            "weights_version": version,
            "as_of_date": AS_OF,
        }
        self._manifests: dict[str, Manifest] = {}
        self.manifest = self.parse({})

    def parse(self, variables: Mapping[str, Any]) -> Manifest:
        """The project as dbt reads it under these settings: once for each value of those in a model's config."""
        in_config = {name: value for name, value in variables.items() if name in _READ_BY_PARSING}
        key = json.dumps(in_config, sort_keys=True)
        if key not in self._manifests:
            result = dbtRunner().invoke(["--quiet", "--log-level-file", "none", "parse", *self._places(in_config)])
            if not isinstance(result.result, Manifest):
                raise DbtFailed(str(result.exception or "dbt could not parse the project"))
            self._manifests[key] = result.result
        return self._manifests[key]

    def invoke(
        self, command: str, database: Path, arguments: Iterable[str] = (), variables: Mapping[str, Any] | None = None
    ) -> list[Any]:
        """Run a command on a DuckDB file and close the file again. Returns dbt's results, failed ones too.

        Raises:
            DbtFailed: dbt never came to run a node.
        """
        os.environ["GTM_DUCKDB_CORE_PATH"] = str(database)
        flags = ["--quiet", "--log-level", "none", "--log-level-file", "none", "--no-write-json", "--no-use-colors"]
        try:
            outcome = dbtRunner(manifest=self.parse(variables or {})).invoke(
                [*flags, command, *arguments, *self._places(variables or {})]
            )
        finally:
            DuckDBConnectionManager.close_all_connections()
        if outcome.result is None:
            raise DbtFailed(str(outcome.exception))
        results: list[Any] = getattr(outcome.result, "results")
        return results

    def build_models(
        self, database: Path, arguments: Iterable[str] = (), variables: Mapping[str, Any] | None = None
    ) -> list[Any]:
        """Models and snapshots, no tests.

        Raises:
            DbtFailed: a node failed or was skipped.
        """
        only = ["--exclude-resource-type", "test", "--exclude-resource-type", "unit_test"]
        results = self.invoke("build", database, [*only, *arguments], variables)
        failed = [result for result in results if str(result.status) not in ("success", "no-op")]
        if failed:
            raise DbtFailed("\n".join(f"{result.node.name}: {result.status}: {result.message}" for result in failed))
        return results

    def models(self, materialized: str | None = None) -> list[str]:
        """Names of models, sorted: all, or those of one materialization."""
        nodes = (node for node in self.manifest.nodes.values() if isinstance(node, ModelNode))
        return sorted(node.name for node in nodes if materialized in (None, node.config.materialized))

    def _places(self, variables: Mapping[str, Any]) -> list[str]:
        return [
            *("--project-dir", str(self.project_dir), "--profiles-dir", str(self.work_dir)),
            *("--target-path", str(self.work_dir / "target"), "--log-path", str(self.work_dir / "logs")),
            *("--vars", json.dumps({**self.variables, **variables})),
        ]
