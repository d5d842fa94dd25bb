"""The `gtm` command: a verb is one call of the REST API; `doctor`, `warehouse`, `keys` and `audit` work without it."""

from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Literal

import typer

from cli.audit import audit_app
from cli.builds import failures, nodes
from cli.checks import exit_code_of, render_check
from cli.doctor import doctor
from cli.jobs import jobs_app
from cli.keys import keys_app
from cli.options import EXIT_CODES, ForceOption, JsonOption, LimitOption, OptionOption, WatchOption, parse_options
from cli.render import render_lead, render_leads
from cli.score import score_app
from cli.session import session, to_request
from cli.status import read_status, render_status
from cli.warehouse import warehouse_app
from shared.contracts import BuildRequest, PipelineRequest, SyncRequest

app = typer.Typer(
    name="gtm",
    help="Start, watch and read Fleet GTM over its REST API.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(jobs_app, name="jobs", epilog=EXIT_CODES)
app.add_typer(score_app, name="score", epilog=EXIT_CODES)
app.add_typer(warehouse_app, name="warehouse", epilog=EXIT_CODES)
app.add_typer(keys_app, name="keys", epilog=EXIT_CODES)
app.add_typer(audit_app, name="audit", epilog=EXIT_CODES)
app.command(epilog=EXIT_CODES)(doctor)
app.command(epilog=EXIT_CODES)(nodes)
app.command(epilog=EXIT_CODES)(failures)

ModeOption = Annotated[
    Literal["incremental", "full"],
    typer.Option(help="incremental: what changed since the last sync, or what it left undone; full: everything again."),
]


def _print_version(wanted: bool) -> None:
    if not wanted:
        return
    try:
        typer.echo(f"gtm {version('fleet-gtm')}")
    except PackageNotFoundError:
        typer.echo("gtm, from a checkout that is not installed")
    raise typer.Exit


@app.callback()
def main(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Start, watch and read Fleet GTM over its REST API."""


@app.command(epilog=EXIT_CODES)
def run(
    source: Annotated[str, typer.Option(help="What to sync first.")] = "mock",
    option: OptionOption = None,
    mode: ModeOption = "incremental",
    limit: LimitOption = None,
    force: ForceOption = False,
    watch: WatchOption = True,
    as_json: JsonOption = False,
) -> None:
    """Run the whole pipeline: sync, build, score."""
    with session(as_json=as_json) as gtm:
        request = to_request(
            PipelineRequest,
            sync={"source": source, "mode": mode, "options": parse_options(option)},
            scoring={"limit": limit, "force": force},
        )
        gtm.start(request, watch=watch)


@app.command(epilog=EXIT_CODES)
def sync(
    source: Annotated[str, typer.Argument(help="hubspot, salesforce, files or mock.")],
    option: OptionOption = None,
    mode: ModeOption = "incremental",
    accept_volume: Annotated[
        bool,
        typer.Option("--accept-volume", help="However few rows come, they are all: later loads are compared with it."),
    ] = False,
    on_schema_change: Annotated[
        Literal["evolve", "freeze", "quarantine"],
        typer.Option(
            help="What becomes of fields that the source got, lost or retyped. evolve: new ones are kept in `extra`; "
            "freeze: the sync fails; quarantine: rows that fill a new one are rejected."
        ),
    ] = "evolve",
    check: Annotated[
        bool,
        typer.Option("--check", help="Files only: say what would land and what would be rejected, and land nothing."),
    ] = False,
    watch: WatchOption = True,
    as_json: JsonOption = False,
) -> None:
    """Read one source and land it in RAW, or with --check only say what that would do."""
    with session(as_json=as_json) as gtm:
        options = parse_options(option)
        request = to_request(
            SyncRequest,
            source=source,
            mode=mode,
            options=options,
            accept_volume=accept_volume,
            on_schema_change=on_schema_change,
        )
        if check:
            checked = gtm.client.check_files(request)
            gtm.output.json(checked.to_json()) if as_json else render_check(gtm.output, checked)
            raise typer.Exit(exit_code_of(checked))
        gtm.start(request, watch=watch)


@app.command(epilog=EXIT_CODES)
def build(
    select: Annotated[
        str | None, typer.Option(help="dbt's node selection, such as dim_accounts+.", show_default="everything")
    ] = None,
    full_refresh: Annotated[bool, typer.Option("--full-refresh", help="Rebuild incremental models from RAW.")] = False,
    retry: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="Run only what failed or was skipped in this build.", show_default="a new build"
        ),
    ] = None,
    watch: WatchOption = True,
    as_json: JsonOption = False,
) -> None:
    """Build and test the marts with dbt."""
    with session(as_json=as_json) as gtm:
        request = to_request(BuildRequest, select=select, full_refresh=full_refresh, retry_of=retry)
        gtm.start(request, watch=watch)


@app.command(epilog=EXIT_CODES)
def leads(
    account_id: Annotated[str | None, typer.Argument(help="Show this one in full.", show_default="list")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 20,
    tier: Annotated[str | None, typer.Option(help="Only this tier.", show_default="all")] = None,
    as_json: JsonOption = False,
) -> None:
    """List scored leads, best first, or show one with reasons, pitch and history."""
    with session(as_json=as_json) as gtm:
        if account_id is not None:
            lead = gtm.client.lead(account_id)
            gtm.output.json(lead.to_json()) if as_json else render_lead(gtm.output, lead)
            return
        page = gtm.client.leads(limit=limit, tier=tier)
        if as_json:
            gtm.output.json(page.to_json())
        else:
            render_leads(gtm.output, page.items, with_pitch=False, more=page.next_cursor is not None)


@app.command(epilog=EXIT_CODES)
def status(as_json: JsonOption = False) -> None:
    """Show whether each service is ready, where it is, and which jobs run or wait."""
    with session(as_json=as_json) as gtm:
        report = read_status(gtm.client)
        gtm.output.json(report.to_json()) if as_json else render_status(gtm.output, report)
        raise typer.Exit(report.exit_code)
