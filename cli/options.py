"""Options that several commands share, and how `--option key=value` is read."""

import json
from typing import Annotated, Any, Final

import typer

from cli.errors import BadSetting

EXIT_CODES: Final = (
    "Exit codes: 0 succeeded, 1 the job failed or found no account, 2 the request or its usage was refused, "
    "3 a service is unreachable or can't answer, 4 the job was cancelled, 130 stopped watching (the job goes on), "
    "141 nobody reads the output (the job goes on)."
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else there.")]
WatchOption = Annotated[bool, typer.Option("--watch/--no-watch", help="Follow the job to its end.")]
LimitOption = Annotated[
    int | None, typer.Option(min=1, help="Score at most so many prospects, best baseline first.", show_default="all")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Ask the model also about accounts that did not change.")]
OptionOption = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        "-o",
        metavar="KEY=VALUE",
        help="An option of the source, repeatable. VALUE is JSON where it can be read as such, else text.",
        show_default=False,
    ),
]


def parse_options(pairs: list[str] | None) -> dict[str, Any]:
    """`accounts=500` -> 500, `mapping=hubspot_export` -> "hubspot_export", `flags=[true]` -> a list.

    Raises:
        BadSetting: no `=`, no key, or a key given twice.
    """
    options: dict[str, Any] = {}
    for pair in pairs or []:
        key, equals, text = pair.partition("=")
        if not key or not equals:
            raise BadSetting(f"--option {pair!r} is not KEY=VALUE, such as accounts=500.", title="Usage")
        if key in options:
            raise BadSetting(f"--option {key} is given twice.", title="Usage")
        options[key] = _parse_value(text)
    return options


def _parse_value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except ValueError:
        return text


def _refuse_constant(name: str) -> Any:
    """NaN and Infinity are no JSON: they stay text."""
    raise ValueError(name)
