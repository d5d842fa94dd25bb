"""`gtm nodes` and `gtm failures`: what a build did, node by node, and the rows that its tests found."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.text import Text

from cli.models import BuildNode, FailedRows
from cli.options import JsonOption
from cli.output import Output
from cli.session import session
from cli.text import duration, plain, thousands, value_text

_STYLES = {"failed": "red", "warned": "yellow", "skipped": "dim", "running": "cyan"}

BuildArgument = Annotated[
    str, typer.Argument(metavar="BUILD", help="A build's id; `gtm jobs --kind build` lists them.")
]


def nodes(
    build: BuildArgument,
    status: Annotated[
        list[str] | None,
        typer.Option(
            help="Only these: running, passed, warned, failed, skipped; repeatable.",
            show_default="all but passed tests",
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also tests that passed.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List what a build's models and tests did, in their order."""
    with session(as_json=as_json) as gtm:
        page = gtm.client.build_nodes(build, statuses=status)
        if as_json:
            gtm.output.json(page.to_json())
            return
        quiet = [node for node in page.items if node.kind == "test" and node.status == "passed"]
        hidden = [] if everything or status else quiet
        shown = [node for node in page.items if node not in hidden]
        render_nodes(gtm.output, build, shown, hidden=len(hidden))


def failures(
    build: BuildArgument,
    node: Annotated[
        str, typer.Argument(metavar="NODE", help="A test's name or unique_id; `gtm nodes BUILD` lists them.")
    ],
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many rows.")] = 20,
    offset: Annotated[int, typer.Option(min=0, help="How many rows to leave out first.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Show rows that a test found. They come whole, and may hold personal data."""
    with session(as_json=as_json) as gtm:
        rows = gtm.client.failed_rows(build, node, limit=limit, offset=offset)
        gtm.output.json(rows.to_json()) if as_json else render_failed_rows(gtm.output, rows)


def render_nodes(output: Output, build: str, nodes: Sequence[BuildNode], *, hidden: int) -> None:
    """One line each; what went wrong has its message beneath."""
    table = output.new_table("status", "kind", "node", "took", "rows")
    table.columns[3].justify = table.columns[4].justify = "right"
    for node in nodes:
        rows = node.failures if node.kind == "test" else node.rows_affected
        name = plain(node.node) + (f"\n  {plain(node.message)}" if node.message else "")
        cells = (plain(node.kind), name, duration(node.seconds), "" if rows is None else thousands(rows))
        table.add_row(Text(plain(node.status), style=_STYLES.get(node.status, "")), *map(Text, cells))
    if nodes:
        output.table(table)
    else:
        output.say("No node, so far." if not hidden else "No model, and no test that did not pass.")
    if hidden:
        output.say(f"{thousands(hidden)} tests passed; --all lists them.", "dim")
    for node in nodes:
        if node.rows_in:
            output.say(f"rows of {plain(node.node)}: gtm failures {plain(build)} {plain(node.node)}", "dim")


def render_failed_rows(output: Output, rows: FailedRows) -> None:
    kept = "they" if rows.kept >= rows.failures else f"the first {thousands(rows.kept)}"
    output.say(f"{plain(rows.node)} found {thousands(rows.failures)}; {kept} are in {plain(rows.rows_in)}.", "bold")
    if rows.items:
        table = output.new_table(*map(plain, rows.items[0]))
        for row in rows.items:
            table.add_row(*(Text("" if value is None else value_text(value)) for value in row.values()))
        output.table(table)
    if rows.next_offset is not None:
        output.say(f"More with --offset {rows.next_offset}.", "dim")
