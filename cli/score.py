"""`gtm score`: start a scoring, or explain the score that one account has.

gtm score                   active prospects
gtm score explain ACCOUNT   why this score?
"""

from typing import Annotated

import typer

from cli.explain import explain_lead, render_explanation
from cli.options import EXIT_CODES, ForceOption, JsonOption, LimitOption, WatchOption
from cli.session import session, to_request
from shared.contracts import ScoringRequest

score_app = typer.Typer(invoke_without_command=True, subcommand_metavar="[explain ACCOUNT]")


@score_app.callback()
def score(
    context: typer.Context,
    limit: LimitOption = None,
    account: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID", help="Score this account, prospect or not; repeatable.", show_default="all prospects"
        ),
    ] = None,
    force: ForceOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Ask the model and report; write nothing.")] = False,
    watch: WatchOption = True,
    as_json: JsonOption = False,
) -> None:
    """Score active prospects: baseline, one bounded model answer each, reasons and pitch."""
    if context.invoked_subcommand is not None:
        _refuse_options(context)
        return
    with session(as_json=as_json) as gtm:
        scope = {"account_ids": account} if account else "all"
        request = to_request(ScoringRequest, scope=scope, limit=limit, force=force, dry_run=dry_run)
        gtm.start(request, watch=watch)


@score_app.command(epilog=EXIT_CODES)
def explain(
    account_id: Annotated[str, typer.Argument(metavar="ACCOUNT", help="As `gtm leads` lists it.")],
    as_json: JsonOption = False,
) -> None:
    """Show what an account's stored score is made of: each factor, the bounds, the model's part."""
    with session(as_json=as_json) as gtm:
        lead = gtm.client.lead(account_id)
        gtm.output.json(lead.to_json()) if as_json else render_explanation(gtm.output, lead, explain_lead(lead))


def _refuse_options(context: typer.Context) -> None:
    """`gtm score --json explain X` would otherwise forget what was asked."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name) if parameter.name else None
        if source is not None and source.name == "COMMANDLINE":  # typer brings a click of its own: no class to compare
            raise typer.BadParameter(
                f"belongs to starting a scoring; write it behind `{context.invoked_subcommand}` where that takes it.",
                param_hint=parameter.opts[0],
            )
