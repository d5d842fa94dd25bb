"""`gtm doctor`: what is wrong around the services, from this machine and with its settings; no service need be up."""

from typing import Annotated, Final, Literal

import typer
from pydantic import ValidationError

from cli.errors import ExitCode, to_bad_setting
from cli.options import JsonOption
from cli.output import Output
from cli.session import reporting_errors
from cli.text import plain
from shared.doctor.findings import Finding
from shared.doctor.privileges import PARTS

_STYLES: Final = {"ok": "green", "warn": "yellow", "fail": "bold red", "skip": "dim"}

PartOption = Annotated[
    Literal["ingest", "transform", "scoring"] | None,
    typer.Option("--for", help="Only what this service needs, with its role.", show_default="all three"),
]


def doctor(part: PartOption = None, as_json: JsonOption = False) -> None:
    """Look at login, role, grants, warehouse, tables, dbt, the model, Redis and the operations database."""
    from shared.doctor.examination import examine  # late: its drivers take a second, which no other command needs

    output = Output(as_json=as_json)
    found = []
    with reporting_errors(output):
        try:
            for finding in examine(PARTS if part is None else (part,)):
                found.append(finding)
                _render(output, finding)
        except ValidationError as error:
            raise to_bad_setting(error) from None
    if as_json:
        output.json([finding.to_json() for finding in found])
    failed = sum(finding.outcome == "fail" for finding in found)
    output.say(
        f"{failed} of {len(found)} checks fail." if failed else "Nothing fails.", "bold red" if failed else "green"
    )
    raise typer.Exit(ExitCode.FAILED if failed else ExitCode.SUCCEEDED)


def _render(output: Output, finding: Finding) -> None:
    output.say(f"{finding.outcome:4}  {finding.check}: {plain(finding.said)}", _STYLES[finding.outcome])
    for mend in finding.mends:
        output.say(f"        {plain(mend)}")
