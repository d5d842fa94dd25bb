"""What dbt's names render to while sqlfluff lints, so that linting needs neither dbt nor a warehouse."""

import json
from collections.abc import Callable
from datetime import datetime
from hashlib import md5
from typing import Any

execute = False
invocation_id = "00000000-0000-0000-0000-000000000000"
dbt_metadata_envs: dict[str, str] = {}
run_started_at = datetime(2000, 1, 1)
this = "this_table"


def ref(model: str) -> str:
    return model


def source(schema: str, table: str) -> str:
    return f"{schema}.{table}"


def var(name: str, default: Any = None) -> Any:
    """Every variable of the project is read with a default."""
    return default


def env_var(name: str, default: str) -> str:
    """None is set while sqlfluff lints."""
    return default


def fromjson(text: str) -> Any:
    return json.loads(text)


def is_incremental() -> bool:
    """Always: the branch that is linted least often is the one that a first build never takes."""
    return True


def local_md5(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()


def config(**_: Any) -> str:
    return ""


class _Adapter:
    def dispatch(self, macro: str) -> Callable[..., str]:
        """A call of the macro's name on its first argument: lints like the function that it stands for."""
        return lambda *arguments: f"{macro}({arguments[0] if isinstance(arguments[0], str) else 1})"


class _Dbt:
    def dateadd(self, part: str, amount: str, moment: str) -> str:
        return f"dateadd({part}, {amount}, {moment})"

    def datediff(self, first: str, second: str, part: str) -> str:
        return f"datediff({part}, {first}, {second})"

    def date_trunc(self, part: str, moment: str) -> str:
        return f"date_trunc('{part}', {moment})"

    def last_day(self, date: str, part: str) -> str:
        return f"last_day({date}, {part})"


class _Exceptions:
    def raise_compiler_error(self, message: str) -> str:
        raise ValueError(message)


adapter = _Adapter()
exceptions = _Exceptions()
dbt = _Dbt()
