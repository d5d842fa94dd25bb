"""dbt as a child process that can't outlive its parent: `python -m ...dbt_child <parent pid> <docs|-> <dbt>`

A worker killed with SIGKILL runs no clean-up, so the kernel must end dbt: two builds in one DuckDB file would stop each
other, and on Snowflake an orphan would write marts that nobody asked for any more.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Final

from services.transform.adapters.dbt_statements import DbtStatements

_PR_SET_PDEATHSIG = 1
_SAME_OPTIONS: Final = ("--project-dir", "--profiles-dir", "--target-path", "--target", "--vars")


def main() -> None:
    """Bind to the parent, then become dbt; after a build that passed, write the project's documentation too."""
    parent, has_docs = int(sys.argv[1]), sys.argv[2] == "docs"
    sys.argv[:] = ["dbt", *sys.argv[3:]]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the kernel knew
        os._exit(128 + signal.SIGKILL)
    # dbt cancels its open queries on an interrupt; a plain SIGTERM would leave them running on Snowflake.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)

    from dbt.cli.main import cli  # late: it takes a second, in which the parent may die

    sent = DbtStatements()
    try:
        cli(obj={"callbacks": [sent.on_event]})
    except SystemExit as end:
        if end.code not in (None, 0) or not has_docs:
            raise
        _write_docs(sys.argv[1:], sent)
    finally:
        sent.write(Path(_option(sys.argv, "--target-path")))


def _option(arguments: list[str], name: str) -> str:
    return arguments[arguments.index(name) + 1]


def _write_docs(build: list[str], sent: DbtStatements) -> None:
    """`dbt docs generate` in this process, which has everything loaded: half a second, of 5 for a dbt of its own. The
    build passed whatever comes of it; the parent looks whether the page is there."""
    from dbt.cli.main import dbtRunner

    options = [part for name in _SAME_OPTIONS for part in (name, _option(build, name))]
    log = ["--log-format", "json", "--log-level", "error", "--log-path", _option(build, "--log-path")]
    dbtRunner(callbacks=[sent.on_event]).invoke([*log, "docs", "generate", "--static", "--no-compile", *options])


if __name__ == "__main__":
    main()
