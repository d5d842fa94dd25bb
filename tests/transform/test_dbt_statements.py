"""dbt's statements are counted in dbt's process and end in the account of the job that started it."""

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from services.transform.adapters.dbt_spending import count_spending
from services.transform.adapters.dbt_statements import DbtStatements
from shared.warehouse.budget import counted_spending


def event(name: str, **data: Any) -> SimpleNamespace:
    return SimpleNamespace(info=SimpleNamespace(name=name), data=SimpleNamespace(**data))


def tell(sent: DbtStatements, statements: int) -> None:
    for _ in range(statements):
        sent.on_event(event("SQLQuery", sql="select 1"))
        sent.on_event(event("SQLQueryStatus", elapsed=0.25))
        sent.on_event(event("NodeFinished"))


def test_statements_of_all_threads_are_counted_and_added_to_the_job(tmp_path: Path) -> None:
    sent = DbtStatements()
    threads = [threading.Thread(target=tell, args=(sent, 50)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sent.on_event(event("SQLQuery", sql="select nothing"))  # it fails: no status follows
    sent.write(tmp_path)
    with counted_spending() as spent:
        count_spending(tmp_path)
    assert (spent.statements, spent.seconds) == (201, 50.0)


def test_a_dbt_that_was_killed_leaves_the_account_as_it_is(tmp_path: Path) -> None:
    with counted_spending() as spent:
        count_spending(tmp_path)
        (tmp_path / "statements.json").write_text('{"statements": 7, "sec')
        count_spending(tmp_path)
    assert (spent.statements, spent.seconds) == (0, 0.0)
    DbtStatements().write(tmp_path / "never made")  # dbt failed before it had a folder
