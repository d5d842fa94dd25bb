"""Places in the code that send a statement to the warehouse, and which of them have sent one: so that no statement of
the product is left out of the check because nothing came by."""

import ast
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

import sqlalchemy as sa

from tests.conftest import REPOSITORY

Site = tuple[str, str]
"""File and function."""
_SENDING: Final = frozenset({"execute", "exec_driver_sql", "scalars", "scalar"})
_MAKING: Final = frozenset({"create", "create_all"})
_INNER: Final = re.compile(r"\.<(locals|genexpr|listcomp|dictcomp|setcomp|lambda)>")
# DuckDB's alone: Snowflake gets nothing from there.
_OF_DUCKDB: Final = (
    "shared/warehouse/duckdb.py",
    "shared/warehouse/replace.py",
    "shared/doctor/duckdb.py",
    "services/ingest/adapters/unkeyed.py",
)
_FUNCTIONS_OF_DUCKDB: Final = {("shared/warehouse/merge.py", "count_rows")}


def sites_of_product() -> set[Site]:
    """Functions in which something is executed on a `connection`."""
    found: set[Site] = set()
    for folder in ("shared/warehouse", "shared/doctor", "services"):
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            name = str(path.relative_to(REPOSITORY))
            if name not in _OF_DUCKDB:
                found |= {(name, function) for function in _sending_functions(ast.parse(path.read_text()))}
    return found - _FUNCTIONS_OF_DUCKDB


@contextmanager
def reached_sites() -> Iterator[set[Site]]:
    """Those that send a statement meanwhile, by whatever engine of this process."""
    reached: set[Site] = set()

    def note(*_call: Any) -> None:
        reached.update(_product_frames(sys._getframe(1)))

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield reached
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)


def _sending_functions(tree: ast.Module) -> Iterator[str]:
    def walk(node: ast.AST, names: tuple[str, ...]) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield from walk(child, (*names, child.name))
                continue
            if isinstance(child, ast.Call) and names and _sends(child):
                yield ".".join(names)
            yield from walk(child, names)

    yield from walk(tree, ())


def _sends(call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Attribute):
        return False
    on_connection = isinstance(call.func.value, ast.Name) and call.func.value.id == "connection"
    with_connection = bool(call.args) and isinstance(call.args[0], ast.Name) and call.args[0].id == "connection"
    return (call.func.attr in _SENDING and on_connection) or (call.func.attr in _MAKING and with_connection)


def _product_frames(frame: FrameType | None) -> Iterator[Site]:
    """Every function of the product that is waiting for the statement."""
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(REPOSITORY) and path.parts[len(REPOSITORY.parts)] in ("services", "shared"):
            yield str(path.relative_to(REPOSITORY)), _INNER.sub("", frame.f_code.co_qualname)
        frame = frame.f_back
