"""`python -m tests.dbt.run_mutants [part of a name ...]`: break the dbt project line by line; list what no test saw."""

import json
import sys
import tempfile
import time
from pathlib import Path

from services.transform.adapters.public_suffixes import ensure_public_suffixes
from tests.dbt.dbt_session import REPOSITORY, DbtSession
from tests.dbt.load_sequences import fast_folder
from tests.dbt.mutant_list import Mutant, read_mutants
from tests.dbt.mutation import Judge, WrongMutant
from tests.transform.builds import House
from tests.transform.raw_rows import ROWS, land_rows

RESULT = REPOSITORY / "benchmarks" / "results" / "mutants.json"


def run_mutants(mutants: list[Mutant], project_dir: Path) -> dict[str, list[str]]:
    """Names by outcome: `killed`, `survived`, `wrong` (the mutant's own fault)."""
    outcomes: dict[str, list[str]] = {"killed": [], "survived": [], "wrong": []}
    with tempfile.TemporaryDirectory(prefix="gtm-mutants-", dir=fast_folder()) as folder:
        judge = _prepare(Path(folder), project_dir)
        for mutant in mutants:
            started = time.perf_counter()
            try:
                killer = judge.find_killer(mutant)
                outcome = "killed" if killer else "survived"
            except WrongMutant as error:
                outcome, killer = "wrong", str(error)
            outcomes[outcome].append(mutant.name)
            print(f"{outcome:8} {time.perf_counter() - started:5.1f} s  {mutant.name}  <- {killer}", flush=True)
    return outcomes


def _prepare(folder: Path, project_dir: Path) -> Judge:
    house = House(folder / "house")
    land_rows(house.warehouse, ROWS)
    ensure_public_suffixes(house.warehouse)
    session = DbtSession(project_dir, folder / "dbt")
    with house.warehouse.reserve_core() as environment:
        database = Path(environment["GTM_DUCKDB_CORE_PATH"])
        session.build_models(database)
        return Judge(session, database)


def main(arguments: list[str]) -> int:
    """Exit code 1 when one survived or matched nothing. The result is written when all were run."""
    named = [mutant for mutant in read_mutants() if any(part in f"{mutant.file} {mutant.why}" for part in arguments)]
    outcomes = run_mutants(named if arguments else read_mutants(), REPOSITORY / "dbt_transform")
    print(" · ".join(f"{len(names)} {outcome}" for outcome, names in outcomes.items()))
    for outcome in ("survived", "wrong"):
        print("".join(f"{outcome}: {name}\n" for name in outcomes[outcome]), end="")
    if not arguments:
        RESULT.write_text(json.dumps({"name": "mutants", **outcomes}, indent=2) + "\n")
    return 1 if outcomes["survived"] or outcomes["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
