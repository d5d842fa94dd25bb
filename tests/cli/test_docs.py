"""docs/cli.md names every command, option and exit code, and none that is not there."""

import re
from pathlib import Path
from typing import Any

import typer.main

from cli.errors import ExitCode
from cli.main import app
from cli.options import EXIT_CODES

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
EVERYWHERE = {"--help", "--json", "--watch", "--no-watch", "--version", "--install-completion", "--show-completion"}


def _commands() -> dict[str, Any]:
    """Every command by its words; `jobs show` is `jobs`, since `show` may be left out."""
    commands: dict[str, Any] = {}
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]  # a group
        parts = getattr(command, "commands", {"": command})
        if getattr(command, "invoke_without_command", False):
            parts = {"": command, **parts}
        for part, nested in parts.items():
            commands[f"{name} {part}".strip().removesuffix(" show")] = nested
    return commands


def _rows() -> dict[str, str]:
    return dict(re.findall(r"^\| `gtm ([^`]+)` \| (.+) \|$", PAGE, re.MULTILINE))


def test_the_page_lists_every_command_and_no_other() -> None:
    listed = {re.sub(r" [A-Z_]+", "", usage) for usage in _rows()}

    assert listed == set(_commands())


def test_the_page_lists_every_option_and_no_other() -> None:
    for usage, row in _rows().items():
        words = re.sub(r" [A-Z_]+", "", usage)
        if usage != words and words in _rows():
            continue  # the same command, with an id
        options = {option for parameter in _commands()[words].params for option in parameter.opts if option[:2] == "--"}
        assert set(re.findall(r"--[a-z-]+", row)) - EVERYWHERE == options - EVERYWHERE, words


def test_exit_codes_are_the_same_on_the_page_in_help_and_in_code() -> None:
    codes = {int(code) for code in ExitCode}

    assert {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)} == codes
    assert {int(code) for code in re.findall(r"(\d+) [a-z]", EXIT_CODES)} == codes
    assert all(command.epilog == EXIT_CODES for command in _commands().values())


def test_every_command_has_json() -> None:
    for words, command in _commands().items():
        assert any("--json" in parameter.opts for parameter in command.params), words
