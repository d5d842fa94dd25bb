"""Builds in a fraction of dbt's time: dbt runs the incremental models and what lies between them; of all others the
SQL that dbt compiled runs bare. A plain table is its SQL and nothing else, so a build of it by dbt would only add dbt.
"""

import json
from collections.abc import Collection, Mapping
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import duckdb
from dbt.contracts.graph.nodes import ModelNode

from tests.dbt.dbt_session import DbtSession

# The snapshot remembers what RAW forgot: that is what it is for.
_REMEMBERS = ("snap_opportunities", "fct_opportunities_as_of")


class ModelBuilds:
    """The models of a parsed project in an order in which they can be built, but for those that read snapshots."""

    def __init__(self, session: DbtSession) -> None:
        self.session = session
        nodes = {node.unique_id: node for node in session.manifest.nodes.values() if isinstance(node, ModelNode)}
        self.nodes = {node.name: node for node in nodes.values() if node.name not in _REMEMBERS}
        parents = {
            name: {nodes[parent].name for parent in sorted(node.depends_on.nodes) if parent in nodes}
            for name, node in sorted(self.nodes.items())
        }
        self.models = list(TopologicalSorter(parents).static_order())
        self.incremental = [name for name in self.models if self.nodes[name].config.materialized == "incremental"]
        before = {name: _reachable(name, parents) for name in self.models}
        self._before = before
        after = {name for name in self.models if before[name] & {*self.incremental} or name in self.incremental}
        ahead = set(self.incremental).union(*(before[name] for name in self.incremental))
        self.between = [name for name in self.models if name in after & ahead]
        self._first = [name for name in self.models if name not in after]
        self._last = [name for name in self.models if name in after - ahead]
        self._compiled: dict[str, dict[str, str]] = {}

    def build(
        self,
        database: Path,
        variables: Mapping[str, Any],
        only: Collection[str] | None = None,
        full_refresh: bool = False,
    ) -> None:
        """All models, or some of them, each after those that it reads."""
        chosen = self.models if only is None else [name for name in self.models if name in only]
        statements = self._statements(variables)
        self._replay(database, [statements[name] for name in self._first if name in chosen])
        if by_dbt := [name for name in self.between if name in chosen]:
            flags = ["--full-refresh"] if full_refresh else []
            self.session.build_models(database, [*flags, "--select", *by_dbt], variables)
        self._replay(database, [statements[name] for name in self._last if name in chosen])

    def downstream(self, names: Collection[str]) -> set[str]:
        """The models, and all that read them, however far."""
        return {name for name in self.models if name in names or self._before[name] & {*names}}

    def _statements(self, variables: Mapping[str, Any]) -> dict[str, str]:
        """`create` of every plain model, compiled once per settings."""
        key = json.dumps(variables, sort_keys=True)
        if key not in self._compiled:
            database = self.session.work_dir / "core.duckdb"
            with duckdb.connect(str(database)) as connection:
                for schema in ("analytics", "analytics_staging"):
                    connection.execute(f"create schema if not exists {schema}")
            results = self.session.invoke("compile", database, ["--select", *self._first, *self._last], variables)
            self._compiled[key] = {result.node.name: create_statement(result.node) for result in results}
        return self._compiled[key]

    def _replay(self, database: Path, statements: Collection[str]) -> None:
        with duckdb.connect(str(database), config={"threads": 1}) as connection:
            for schema in ("analytics", "analytics_staging"):
                connection.execute(f"create schema if not exists {schema}")
            for statement in statements:
                connection.execute(statement)


def create_statement(node: Any) -> str:
    """What makes a compiled model's table or view, its contract aside."""
    kind = "view" if node.config.materialized == "view" else "table"
    return f"create or replace {kind} {node.schema}.{node.name} as {node.compiled_code}"


def _reachable(name: str, parents: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    open_ends = list(parents.get(name, ()))
    while open_ends:
        parent = open_ends.pop()
        if parent not in found:
            found.add(parent)
            open_ends.extend(parents.get(parent, ()))
    return found
