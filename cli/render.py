"""Jobs and leads as tables and lines."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from cli.models import Job, Lead
from cli.output import Output
from cli.results import render_result, render_ways_to_rows
from cli.text import duration, moment, plain, signed, thousands, value_text, words
from shared.contracts import JobState

_WIDE: Final = 100  # columns that a job's id, times and progress need side by side
_MOST_REASONS: Final = 3  # of a change in the history


def render_finished(output: Output, job: Job) -> None:
    """How a watched job ended: what each part did, and why it failed."""
    for part in job.parts:
        render_job_line(output, part)
        if part.result:
            render_result(output, part)
    if job.state is JobState.FAILED:
        render_failure(output, job)
    elif job.state is JobState.CANCELLED:
        output.note(f"{job.kind} {job.id} was cancelled; what it had written stays.", "yellow")


def render_failure(output: Output, job: Job) -> None:
    """The problem of the part that failed; a pipeline's own error only where no part has one."""
    failed = [part for part in job.parts if part.state is JobState.FAILED] or [job]
    for part in failed:
        if part.error is not None:
            output.problem(part.error, subject=f"{part.kind} failed")
            if failed_nodes := (part.error.model_extra or {}).get("failed_nodes"):
                render_ways_to_rows(output, part.id, failed_nodes)
                output.note("  once it is mended: gtm build")
                if part.error.code != "dbt-test-failed":  # mended data, or SQL, asks for a whole build
                    retry = f"gtm build --retry {plain(part.id)}"
                    output.note(f"  or, with the same data and project: {retry}, for what is left of it")
        else:
            output.note(f"{part.kind} {part.id} failed without a reason.", "bold red")


def render_job(output: Output, job: Job) -> None:
    """One job in full."""
    render_job_line(output, job)
    output.say(f"  id        {plain(job.id)}")
    if job.parent_id:
        output.say(f"  part of   {plain(job.parent_id)}")
    output.say(f"  created   {moment(job.created_at)} UTC{_attempts(job)}")
    if job.request is not None:
        output.say(f"  request   {value_text(job.request)}")
    for child in job.children or []:
        render_job_line(output, child, indent="  ")
        if child.result:
            render_result(output, child)
    if job.result:
        render_result(output, job)
    if job.state is JobState.FAILED:
        render_failure(output, job)


def render_job_line(output: Output, job: Job, indent: str = "") -> None:
    """Kind, state, and how long or how far."""
    tail = duration(job.seconds) if job.is_finished else progress_text(job)
    output.say(f"{indent}{job.kind:<9}{job.state.value:<10}{tail}".rstrip(), "bold")
    if job.about:
        output.say(f"{indent}  for {plain(job.about)}")


def render_jobs(output: Output, jobs: Sequence[Job], *, more: bool) -> None:
    """Newest first. An id is never wrapped or cut, so it can be copied: the rest gives way."""
    if not jobs:
        output.say("No jobs. Start one with `gtm run`.")
        return
    narrow = output.out.width < _WIDE
    table = output.new_table("id", "kind", "state", *([] if narrow else ["progress"]), "created (UTC)", "took")
    width = max(len(plain(job.id)) for job in jobs)
    for column in table.columns[:3]:
        column.no_wrap = True
    table.columns[0].min_width = width
    if narrow:
        table.padding = (0, 1, 0, 0)
    for job in jobs:
        progress = "; ".join(filter(None, (plain(job.about or ""), progress_text(job))))
        beneath = textwrap.wrap(progress, width) if narrow else []
        row = ["\n".join([plain(job.id), *beneath]), job.kind, job.state.value, *([] if narrow else [progress])]
        table.add_row(*map(Text, (*row, moment(job.created_at), duration(job.seconds))))
    output.table(table)
    if more:
        output.say("There are more: raise --limit.", "dim")


def progress_text(job: Job) -> str:
    """Phase and amount of a running job; the reason's title of a failed one, or of one that is tried again."""
    if job.error is not None and job.state is not JobState.SUCCEEDED:
        return plain(job.error.title)
    progress = job.progress
    if job.is_finished or progress is None or progress.phase is None:
        return ""
    amount = "" if progress.done is None else f" {thousands(progress.done)}"
    total = "" if progress.total is None else f"/{thousands(progress.total)}"
    return plain(f"{progress.phase}{amount}{total} {progress.unit or ''}")


def render_leads(output: Output, leads: Sequence[Lead], *, with_pitch: bool, more: bool = False) -> None:
    """Best first. `with_pitch` swaps the id and the next action for the pitch."""
    if not leads:
        output.say("No leads yet. Score some with `gtm score`, or start the whole pipeline with `gtm run`.")
        return
    table = _lead_table(output, with_pitch=with_pitch)
    for lead in leads:
        last = _pitch(lead) if with_pitch else words(lead.next_action or "-")
        name = plain(lead.account_name or lead.account_id)
        table.add_row(
            Text(name) if with_pitch else Text(f"{name}\n{plain(lead.account_id)}"),
            Text(str(lead.lead_score)),
            Text(str(lead.baseline_score)),
            Text(plain(lead.tier)),
            Text(
                "\n".join(f"{signed(r.points)} {plain(r.explanation or r.factor)}" for r in lead.strongest_reasons(2))
            ),
            Text(last),
        )
    output.table(table)
    if more:
        output.say("There are more: raise --limit.", "dim")


def _lead_table(output: Output, *, with_pitch: bool) -> Table:
    table = output.new_table("account", "score", "base", "tier", "why", "pitch" if with_pitch else "next", lines=True)
    table.expand, table.width = True, output.table_width
    account, score, base, tier, why, last = table.columns
    score.justify = base.justify = "right"
    for narrow in (score, base, tier):
        narrow.no_wrap = True
    account.ratio, why.ratio, last.ratio = (4, 7, 10) if with_pitch else (5, 8, 3)
    return table


def render_lead(output: Output, lead: Lead) -> None:
    """One lead as a sales rep needs it: score and reasons, the pitch, how it came about."""
    output.say(f"{plain(lead.account_name or lead.account_id)}  ({plain(lead.domain or lead.account_id)})", "bold")
    if not lead.is_active:
        output.say(f"  no active prospect any more: {words(lead.inactive_reason or 'unknown')}", "yellow")
    output.say(f"  tier {plain(lead.tier)}, score {lead.lead_score} = {_arithmetic(lead)}")
    table = output.new_table("points", "component", "reason")
    table.columns[0].justify = "right"
    for reason in lead.strongest_reasons(len(lead.reasons)):
        cells = (signed(reason.points), plain(reason.component), plain(reason.explanation or reason.factor))
        table.add_row(*map(Text, cells))
    output.table(table)
    output.say(f"  {_other_factors(lead)}")
    output.say(f"  next   {words(lead.next_action or '-')}")
    output.say(f"  pitch  {_pitch(lead)}")
    output.say(f"  scored {moment(lead.scored_at)} UTC by {lead.score_source}", "dim")
    if lead.history:
        output.say("  history (UTC)")
        for row in lead.history:
            output.say(f"    {_history_line(row)}")


def _arithmetic(lead: Lead) -> str:
    """How the score came about; without an answer of the model it is the baseline."""
    baseline = f"baseline {lead.baseline_score} (fit {lead.fit_score} + engagement {lead.engagement_score})"
    if lead.llm_score is None:
        return f"{baseline}; the model gave no usable answer"
    moved = lead.lead_score - lead.baseline_score
    return f"{baseline} {moved:+d} by the model, whose own score is {lead.llm_score}"


def _other_factors(lead: Lead) -> str:
    """What the reasons leave out, so that the points add up: a lead carries its strongest factors alone."""
    shown = sum(reason.points for reason in lead.reasons if reason.component != "llm")
    moved = lead.lead_score - lead.baseline_score
    model = f"; the model's adjustment is {moved:+d}" if moved else "; no adjustment by the model"
    rest = f"{signed(lead.baseline_score - shown)}, with rounding and the bounds of fit and engagement"
    return f"the other factors: {rest}; all together the baseline {lead.baseline_score}{model}"


def _pitch(lead: Lead) -> str:
    """Marked where no model wrote it."""
    return plain(lead.pitch or "-") + (" (template)" if lead.pitch_source == "template" else "")


def _history_line(row: Mapping[str, Any]) -> str:
    scored_at = plain(str(row.get("scored_at", ""))).replace("T", " ")[:19]
    why = [str(reason.get("explanation") or reason.get("kind", "")) for reason in row.get("reasons") or []]
    told = f"  because: {plain('; '.join(why[:_MOST_REASONS]))}" if why else ""
    return f"{scored_at}  score {row.get('lead_score')}  tier {row.get('tier')}  job {row.get('job_id')}{told}"


def _attempts(job: Job) -> str:
    """Nothing for a job that no worker takes up: a waiting one, a pipeline."""
    return "" if not job.attempts else f", {job.attempts} attempt{'s' if job.attempts > 1 else ''}"
