"""One broken line of the dbt project, and what sees it: unit tests, data tests on a small warehouse, random loads.

The break is made in the parsed project, in memory: the files stay as they are and nothing is parsed again.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
from dbt.contracts.graph.nodes import ModelNode

from tests.dbt.dbt_session import DbtFailed, DbtSession
from tests.dbt.load_sequences import Sequence
from tests.dbt.model_builds import ModelBuilds, create_statement
from tests.dbt.mutant_list import Mutant


class WrongMutant(Exception):
    """The text is not in the file any more, or the break is no SQL: it proves nothing."""


class Judge:
    """A parsed project with a small built warehouse, where the tests are green."""

    def __init__(self, session: DbtSession, database: Path) -> None:
        self.session = session
        self.database = database
        self.builds = ModelBuilds(session)
        self._models = {n.unique_id: n for n in session.manifest.nodes.values() if isinstance(n, ModelNode)}
        self._macros_of = {node.unique_id: self._used_macros(node) for node in self._models.values()}
        compiled = session.invoke("compile", database, ["--full-refresh", "--select", "resource_type:model"])
        self._intact = {result.node.name: create_statement(result.node) for result in compiled}
        self._tests = self._compile_tests()
        if red := self._red_data_test(database, set(self.builds.models)):
            raise DbtFailed(f"{red} is red without any mutant")

    def find_killer(self, mutant: Mutant) -> str | None:
        """Name of the first test that goes red, or None: the mutant survives.

        Raises:
            WrongMutant: see there.
        """
        with self._applied(mutant) as models:
            names = sorted(self._models[model].name for model in models)
            return (
                self._red_unit_test(names)
                or (self._red_sequence() if mutant.sequences else None)
                or self._red_rebuild(names)
            )

    @contextmanager
    def _applied(self, mutant: Mutant) -> Iterator[set[str]]:
        """Break the line; gives the ids of the models whose SQL holds it."""
        manifest = self.session.manifest
        if mutant.file.startswith("macros/"):
            parts = [m for m in manifest.macros.values() if m.original_file_path == mutant.file]
            attribute = "macro_sql"
        else:
            parts = [
                n for n in manifest.nodes.values() if n.original_file_path == mutant.file and n in self._models.values()
            ]
            attribute = "raw_code"
        places = [part for part in parts for _ in mutant.pattern.findall(getattr(part, attribute))]
        if len(places) != 1:
            raise WrongMutant(f"{mutant.name}: the text occurs {len(places)} times in {mutant.file}:\n{mutant.old}")
        (place,) = places
        intact = getattr(place, attribute)
        setattr(place, attribute, mutant.pattern.sub(lambda _: mutant.new, intact))
        try:
            yield {id for id, macros in self._macros_of.items() if place.unique_id in macros} | (
                {place.unique_id} & {*self._models}
            )
        finally:
            setattr(place, attribute, intact)

    def _used_macros(self, node: Any) -> set[str]:
        found: set[str] = set()
        open_ends = list(node.depends_on.macros)
        while open_ends:
            name = open_ends.pop()
            if name in found or name not in self.session.manifest.macros:
                continue
            found.add(name)
            open_ends.extend(self.session.manifest.macros[name].depends_on.macros)
            open_ends.extend(
                other for other in self.session.manifest.macros if other.endswith(f"__{name.split('.')[-1]}")
            )
        return found

    def _red_unit_test(self, models: list[str]) -> str | None:
        tested = {test.model for test in self.session.manifest.unit_tests.values()}
        chosen = [name for name in models if name in tested]
        if not chosen:
            return None
        select = [f"{name},test_type:unit" for name in chosen]
        for result in self.session.invoke("test", self.database, ["--fail-fast", "--select", *select]):
            if str(result.status) == "fail":
                return f"unit test {result.node.name}"
            if str(result.status) == "error":
                raise WrongMutant(f"{result.node.name}: {result.message}")
        return None

    def _red_rebuild(self, models: list[str]) -> str | None:
        """Rebuild what holds the line and all behind it, then ask the data tests."""
        copy = self.database.with_name("mutant") / self.database.name
        shutil.rmtree(copy.parent, ignore_errors=True)
        copy.parent.mkdir()
        shutil.copy(self.database, copy)
        behind = self.builds.downstream(models)
        results = self.session.invoke("compile", copy, ["--full-refresh", "--select", *models])
        broken = {result.node.name: create_statement(result.node) for result in results}
        with duckdb.connect(str(copy), config={"threads": 1}) as connection:
            for name in [name for name in self.builds.models if name in behind]:
                try:
                    connection.execute(broken.get(name) or self._intact[name])
                except duckdb.Error as error:
                    if isinstance(error, (duckdb.BinderException, duckdb.ParserException, duckdb.CatalogException)):
                        raise WrongMutant(f"{name}: {error}") from error
                    return f"build of {name}: {str(error).splitlines()[0]}"
        return self._red_data_test(copy, behind)

    def _compile_tests(self) -> list[tuple[set[str], str, str]]:
        """Models read, name and query of every data test that fails a build."""
        results = self.session.invoke("compile", self.database, ["--select", "test_type:data", "--full-refresh"])
        nodes = [result.node for result in results if str(result.node.config.severity).lower() == "error"]
        return [({name.split(".")[-1] for name in node.depends_on.nodes}, node.name, _verdict(node)) for node in nodes]

    def _red_data_test(self, database: Path, models: set[str]) -> str | None:
        with duckdb.connect(str(database), read_only=True) as connection:
            for read, name, query in self._tests:
                if read & models and connection.execute(query).fetchall() == [(True,)]:
                    return f"data test {name}"
        return None

    def _red_sequence(self) -> str | None:
        for seed in range(1, 13):  # each setting of load_sequences.py twice
            folder = self.session.work_dir / f"mutant-sequence-{seed}"
            try:
                Sequence(seed, self.builds, folder).run(3)
            except AssertionError as error:
                return f"sequence {seed}: {str(error).splitlines()[0]}"
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        return None


def _verdict(test: Any) -> str:
    """True when dbt would call the test failed."""
    return f"select {test.config.fail_calc} {test.config.error_if} from ({test.compiled_code}) as failing"
