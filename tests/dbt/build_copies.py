"""`python -m tests.dbt.build_copies [--variable name=value] <file>...`: all models in each of these DuckDB files."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.dbt.dbt_session import REPOSITORY, DbtSession
from tests.dbt.load_sequences import fast_folder
from tests.dbt.model_builds import ModelBuilds


def main(arguments: list[str]) -> int:
    """Raises DbtFailed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variable", action="append", default=[], help="name=value, a number")
    parser.add_argument("files", nargs="+", type=Path)
    asked = parser.parse_args(arguments)
    variables = {name: float(value) for name, _, value in (one.partition("=") for one in asked.variable)}
    with tempfile.TemporaryDirectory(prefix="gtm-copies-", dir=fast_folder()) as folder:
        builds = ModelBuilds(DbtSession(REPOSITORY / "dbt_transform", Path(folder) / "dbt"))
        for file in asked.files:
            builds.build(file, variables)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
