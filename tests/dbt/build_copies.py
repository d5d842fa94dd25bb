"""`python -m tests.dbt.build_copies [--variable name=value] <file>...`: all models in each of these DuckDB files.

Compiled once, from nothing: what increments add up to is for tests/dbt/load_sequences.py to say.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import duckdb

from tests.dbt.dbt_session import REPOSITORY, DbtSession
from tests.dbt.load_sequences import fast_folder
from tests.dbt.model_builds import ModelBuilds, create_statement


def main(arguments: list[str]) -> int:
    """Raises DbtFailed, duckdb.Error. All files have one name: what they are called is in the SQL."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variable", action="append", default=[], help="name=value, a number")
    parser.add_argument("files", nargs="+", type=Path)
    asked = parser.parse_args(arguments)
    variables = {name: float(value) for name, _, value in (one.partition("=") for one in asked.variable)}
    with tempfile.TemporaryDirectory(prefix="gtm-copies-", dir=fast_folder()) as folder:
        session = DbtSession(REPOSITORY / "dbt_transform", Path(folder) / "dbt")
        models = ModelBuilds(session).models
        chosen = ["--full-refresh", "--select", *models]
        compiled = {one.node.name: one.node for one in session.invoke("compile", asked.files[0], chosen, variables)}
        for file in asked.files:
            with duckdb.connect(str(file), config={"threads": 1}) as connection:
                for schema in ("analytics", "analytics_staging"):
                    connection.execute(f"create schema if not exists {schema}")
                for model in models:
                    connection.execute(create_statement(compiled[model]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
