"""`gtm audit`: who did what. It reads the operations database itself, like `gtm keys`."""

from typing import Annotated

import typer
from rich.text import Text

from cli.administration import administering
from cli.errors import ExitCode
from cli.options import EXIT_CODES, JsonOption
from cli.output import Output
from cli.text import counted, plain

audit_app = typer.Typer(help="Read the audit log, and see whether it was changed.", no_args_is_help=True)


@audit_app.callback()
def audit() -> None:
    """Read the audit log, and see whether it was changed."""


@audit_app.command("list", epilog=EXIT_CODES)
def list_newest(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 20,
    action: Annotated[str | None, typer.Option(help="Only this action, such as job.start.", show_default="all")] = None,
    actor: Annotated[str | None, typer.Option(help="Only this key's name, or local, cli.", show_default="all")] = None,
    as_json: JsonOption = False,
) -> None:
    """List what was done and refused: who, what, when (UTC), from where, with which result."""
    from shared.access.administration import list_log  # SQLAlchemy: not for every command's start

    output = Output(as_json=as_json)
    with administering(output):
        entries = list_log(limit, action, actor)
    if as_json:
        output.json(entries)
        return
    table = output.new_table("row", "at", "who", "from", "action", "what", "result")
    for entry in entries:
        result = " ".join(str(part) for part in (entry["status"], entry["detail"].get("code")) if part is not None)
        times = f" x{entry['count']}" if entry["count"] > 1 else ""
        at = entry["at"].replace("T", " ")[:19]
        cells = (entry["seq"], at, entry["actor"], entry["address"], entry["action"], entry["target"], result + times)
        table.add_row(*(Text("-" if cell is None else plain(str(cell))) for cell in cells))
    output.table(table)


@audit_app.command(epilog=EXIT_CODES)
def verify(
    expect: Annotated[
        str | None,
        typer.Option(metavar="HASH", help="A row's hash that was kept elsewhere.", show_default="nothing"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Walk the whole log and name the first row that is not as it was written. Keep the printed hash elsewhere."""
    from shared.access.administration import verify_log

    output = Output(as_json=as_json)
    with administering(output):
        report = verify_log(expect)
    if as_json:
        output.json(report.to_json())
    if report.broken_at is not None:
        output.say(f"BROKEN at row {report.broken_at}: {report.fault}.", "bold red")
        output.say(f"Whole before it: {counted(report.count, 'row')}, up to the hash {report.head}.")
    else:
        output.say(f"{counted(report.count, 'row')}, unchanged. Last hash: {report.head}", "green")
    if report.has_expected is False:
        output.say(f"No row has the hash {expect}: rows were cut off, or the log was made anew.", "bold red")
    raise typer.Exit(ExitCode.SUCCEEDED if report.is_whole else ExitCode.FAILED)
