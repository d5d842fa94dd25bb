"""`gtm jobs`: the newest, one by its id, or a request to stop.

gtm jobs                   the newest
gtm jobs ID [--watch]      one
gtm jobs cancel ID         stop it
"""

from typing import Annotated

import typer
from typer.core import TyperGroup

from cli.options import EXIT_CODES, JsonOption
from cli.progress import job_view
from cli.render import render_job, render_jobs
from cli.session import session
from cli.watch import follow
from shared.contracts import JobKind, JobState


class _ShowByDefault(TyperGroup):
    """`gtm jobs ID` reads better than `gtm jobs show ID`; both work."""

    # typer.Context is the public name of the class that typer itself uses here
    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = ["show", *args]
        return super().parse_args(ctx, args)


jobs_app = typer.Typer(
    cls=_ShowByDefault,
    help="List jobs, show or follow one (gtm jobs ID), or cancel one (gtm jobs cancel ID).",
    subcommand_metavar="[ID | cancel ID]",
)


@jobs_app.command(epilog=EXIT_CODES)
def show(
    job_id: Annotated[
        str | None, typer.Argument(metavar="ID", help="Show this one in full.", show_default="list")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Follow the job ID to its end.")] = False,
    kind: Annotated[JobKind | None, typer.Option(help="Only this kind.", show_default="all")] = None,
    state: Annotated[JobState | None, typer.Option(help="Only this state.", show_default="all")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """The default, so `show` may be left out: list the newest jobs, or show one by its ID."""
    if job_id is None and watch:
        raise typer.BadParameter("needs the ID of a job.", param_hint="--watch")
    if job_id is not None and (kind or state):
        raise typer.BadParameter("filter the list; they don't go with an ID.", param_hint="--kind, --state")
    with session(as_json=as_json) as gtm:
        if job_id is None:
            page = gtm.client.jobs(kind=kind, state=state, limit=limit)
            if as_json:
                gtm.output.json(page.to_json())
            else:
                render_jobs(gtm.output, page.items, more=page.next_cursor is not None)
            return
        polled = gtm.client.job(job_id)
        if watch:
            gtm.finish(follow(gtm.client, polled, job_view(gtm.output.err)))
        gtm.output.json(polled.job.to_json()) if as_json else render_job(gtm.output, polled.job)


@jobs_app.command(epilog=EXIT_CODES)
def cancel(
    job_id: Annotated[str, typer.Argument(metavar="ID", help="The job to stop; a pipeline stops with its parts.")],
    as_json: JsonOption = False,
) -> None:
    """Ask a job to stop at its next batch. What it has written stays."""
    with session(as_json=as_json) as gtm:
        job = gtm.client.cancel(job_id)
        if as_json:
            gtm.output.json(job.to_json())
        elif job.is_finished:
            gtm.output.say(f"{job.kind} {job.id} is {job.state.value}.")
        else:
            gtm.output.say(f"{job.kind} {job.id} is {job.state.value} and stops at its next batch.")
            gtm.output.say(f"See it end with `gtm jobs {job.id} --watch`.", "dim")
