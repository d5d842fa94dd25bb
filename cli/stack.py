"""The local stack as a guest uses it: started only where none runs, and always stopped by whoever started it."""

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from cli.errors import CliError, ExitCode
from cli.models import Problem

STACK_COMMAND: Final = (sys.executable, "-m", "local.stack")
_WRONG_USE: Final = 2
_NOT_RUNNING: Final = 3
_STOP_SECONDS: Final = 60.0


class StackFailed(CliError):
    """The stack did not start; it has said why itself."""

    exit_code = ExitCode.UNREACHABLE


@contextmanager
def running_stack(command: Sequence[str] = STACK_COMMAND) -> Iterator[bool]:
    """Give a running stack. Yields True where it was started here; then it is stopped again, whatever happens.

    Raises:
        StackFailed: `up` failed.
    """
    if _is_running(command):
        yield False
        return
    try:
        _up(command)
        yield True
    finally:
        with _deaf_to_interrupts():
            _down(command)


def _is_running(command: Sequence[str]) -> bool:
    """Also half a stack is somebody's: it is neither started nor stopped here. `up` will say what is wrong again."""
    status = subprocess.run([*command, "status"], stdout=subprocess.DEVNULL, check=False).returncode
    return status not in (_WRONG_USE, _NOT_RUNNING)


def _up(command: Sequence[str]) -> None:
    # A session of its own: Ctrl-C reaches us alone, and we let `up` put away what it has begun.
    with subprocess.Popen([*command, "up", "--detach"], start_new_session=True) as process:
        try:
            status = process.wait()
        except BaseException:
            with _deaf_to_interrupts():
                _end(process)
            raise
    if status != 0:
        detail = f"`{_shown(command)} up` ended with exit status {status}; its words are above. See `make logs`."
        raise StackFailed(Problem(title="The local stack did not start", detail=detail, code="stack-failed"))


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def _down(command: Sequence[str]) -> None:
    status = subprocess.run([*command, "down"], start_new_session=True, check=False).returncode
    if status != 0:
        print(f"`{_shown(command)} down` ended with exit status {status}: run `make down`.", file=sys.stderr)


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """A second Ctrl-C must not leave processes behind."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _shown(command: Sequence[str]) -> str:
    return " ".join(["python", *command[1:]])
