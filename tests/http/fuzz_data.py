"""`python -m tests.http.fuzz_data transform|scoring`: what there is to be read while a service is tried, in the data
folder of the environment. Prints a build's id for transform.
"""

import sys

from services.scoring.adapters.ollama import OllamaModel
from services.scoring.flow import score_accounts
from shared.logging import configure_logging
from shared.operations.database import operations_database
from shared.settings import operations_settings, warehouse_settings
from shared.warehouse import open_warehouse
from tests.fakes.ollama import FakeOllama
from tests.scoring.conftest import FakeJob, account, to_settings, write_marts
from tests.transform.mini import make_mini_house


def build_nodes() -> str:
    """A build of nodes that passed, failed, warned and were skipped, with rows that its tests found."""
    return make_mini_house(operations_settings().data_dir, operations_database()).build().id


def score_leads() -> None:
    """Six leads with a history."""
    warehouse = open_warehouse(warehouse_settings())
    write_marts(warehouse, [account(number) for number in range(1, 7)])
    with FakeOllama() as model:
        settings = to_settings(model.url)
        score_accounts(FakeJob(), warehouse, OllamaModel(settings), settings)


if __name__ == "__main__":
    configure_logging()  # its lines go elsewhere than the id
    if sys.argv[1] == "transform":
        sys.stdout.write(build_nodes())
    else:
        score_leads()
