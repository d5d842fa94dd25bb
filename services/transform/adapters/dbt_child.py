"""dbt as a child process that can't outlive its parent: `python -m ...dbt_child <parent pid> <dbt arguments>`

A worker killed with SIGKILL runs no clean-up, so the kernel must end dbt: two builds in one DuckDB file would stop each
other, and on Snowflake an orphan would write marts that nobody asked for any more.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Bind to the parent, then become dbt."""
    parent = int(sys.argv.pop(1))
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the kernel knew
        os._exit(128 + signal.SIGKILL)
    # dbt cancels its open queries on an interrupt; a plain SIGTERM would leave them running on Snowflake.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)

    from dbt.cli.main import cli  # late: it takes a second, in which the parent may die

    sys.argv[0] = "dbt"
    cli()


if __name__ == "__main__":
    main()
