"""Results go to stdout, everything about getting there to stderr. `--json` keeps stdout to one document."""

import io
import json
import os
import sys
from typing import IO, Any, Final, NoReturn, TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.errors import ExitCode
from cli.models import Problem
from cli.text import pairs, plain, value_text, words

_PIPED_WIDTH: Final = 120
_WIDEST_TABLE: Final = 140
_RULE_UNDER_HEADER: Final = box.Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)
_SHOWN_APART: Final = frozenset({"type", "title", "status", "detail", "code", "errors", "instance"})


class Output:
    """Both streams of one command."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self.out = _console(sys.stdout)
        self.err = _console(sys.stderr)

    def json(self, payload: Any) -> None:
        """The one document that `--json` promises; ASCII, so that any locale can carry it."""
        try:
            sys.stdout.write(json.dumps(payload, indent=2) + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            _leave_quietly(sys.stdout)

    def say(self, text: str = "", style: str = "") -> None:
        """A line of the result, for people; nothing where JSON is wanted."""
        if not self.as_json:
            _line(self.out, text, style)

    def note(self, text: str, style: str = "dim") -> None:
        """A line about the way there."""
        _line(self.err, text, style)

    def table(self, table: Table) -> None:
        if not self.as_json:
            self.out.print(table)

    def problem(self, problem: Problem, *, subject: str = "") -> None:
        """What went wrong and how to mend it, field by field, on stderr."""
        title = f"{subject}: {problem.title}" if subject else problem.title
        _line(self.err, plain(title), "bold red")
        if problem.detail:
            _line(self.err, _indented(problem.detail), "")
        for error in problem.errors or []:
            if error.message in (problem.detail or ""):
                continue
            _line(self.err, f"  {plain(error.field)}: {plain(error.message)}", "")
        for name, value in (problem.model_extra or {}).items():
            if name not in _SHOWN_APART and not _is_said(value, problem.detail or ""):
                for item in value if isinstance(value, list) else [value]:
                    said = pairs(item) if isinstance(item, dict) else value_text(item)
                    _line(self.err, f"  {words(name)}: {said}", "dim")

    def new_table(self, *headers: str, lines: bool = False) -> Table:
        """Columns under a rule, no frame; `lines` sets rows of several lines apart."""
        rule = box.SIMPLE_HEAD if self.out.is_terminal else _RULE_UNDER_HEADER
        table = Table(box=rule, show_lines=lines, pad_edge=False, header_style="bold")
        for header in headers:
            table.add_column(Text(header), overflow="fold")
        return table

    @property
    def table_width(self) -> int:
        """Of tables that fill the line: lines beyond 140 columns read badly."""
        return min(self.out.width, _WIDEST_TABLE)


class _Console(Console):
    """Ends the command where rich would end it with the exit code of a failed job."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        _leave_quietly(self.file)


def _leave_quietly(stream: IO[str]) -> NoReturn:
    """`gtm jobs | head` has read enough: no traceback, also none from the interpreter's last flush."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    raise SystemExit(ExitCode.READER_GONE) from None


def _console(stream: TextIO) -> Console:
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")  # a character that the locale lacks costs itself, not the command
    width = None if stream.isatty() or os.environ.get("COLUMNS") else _PIPED_WIDTH
    return _Console(file=stream, width=width, highlight=False, emoji=False)


def _line(console: Console, text: str, style: str) -> None:
    console.print(Text(text, style=style), soft_wrap=not console.is_terminal)


def _is_said(value: Any, detail: str) -> bool:
    """The detail names it already."""
    values = value if isinstance(value, list) else [value]
    return all(isinstance(item, str) and item in detail for item in values)


def _indented(text: str) -> str:
    return "\n".join(f"  {plain(line)}" for line in text.splitlines())
