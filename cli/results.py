"""What a job counted, as lines and tables."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.text import Text

from cli.models import Job
from cli.output import Output
from cli.text import counted, pairs, plain, thousands, value_text, words

_MOST_NAMES: Final = 5


def render_result(output: Output, job: Job) -> None:
    """A job's counts: plain ones in a line, those by table or node beneath. Its own id is no news."""
    result = {name: value for name, value in (job.result or {}).items() if value != job.id}
    counts = {name: value for name, value in result.items() if not isinstance(value, dict | list)}
    if counts:
        output.say(f"  {pairs({words(name): value for name, value in counts.items()})}")
    for name, value in result.items():
        if name == "first_rejects" and value:
            _render_rejects(output, result)
        elif isinstance(value, dict) and value:
            _render_nested(output, name, value)
        elif name == "notes" and value:
            for note in value:
                output.say(f"  note: {plain(str(note))}")
        elif name == "schema_changes" and value:
            _render_schema_changes(output, value)
        elif isinstance(value, list) and value:
            _render_list(output, name, value)
    if result.get("warned_nodes"):
        render_ways_to_rows(output, job.id, result["warned_nodes"])
    if result.get("quarantined"):
        output.say("  quarantined rows, each with its reason: analytics.quarantine_rows")


def render_ways_to_rows(output: Output, build_id: str, nodes: Sequence[Any]) -> None:
    """Where to look at what a build's tests found."""
    for node in nodes[:_MOST_NAMES]:
        if isinstance(node, dict) and node.get("failures"):
            output.note(f"  rows: gtm failures {plain(build_id)} {plain(str(node.get('node')))}")
    output.note(f"  all nodes: gtm nodes {plain(build_id)}")


def _render_rejects(output: Output, result: Mapping[str, Any]) -> None:
    """The first ones and where all are: by table, since a row that is met again keeps the load_id of the first time."""
    for reject in result["first_rejects"]:
        place = f"{reject.get('file')} line {reject.get('line')} (for {reject.get('table')})"
        output.say(f"  rejected: {plain(place)}: {plain(str(reject.get('reason')))}")
    tables = [name for name, counts in result.get("tables", {}).items() if counts.get("rejected")]
    where = ", ".join(f"'{plain(name)}'" for name in tables)
    output.say(
        f"  all {value_text(result.get('rejected'))} in raw.rejects where source_table in ({where}); "
        "one that an earlier load met keeps that load's load_id"
    )


def _render_schema_changes(output: Output, changes: Sequence[Mapping[str, Any]]) -> None:
    """The first ones: a source that is read for the first time in months may have many."""
    for one in changes[:_MOST_NAMES]:
        types = [str(one[name]) for name in ("old_type", "new_type") if one.get(name)]
        told = plain(f"{one.get('change')} ({' -> '.join(types)})" if types else str(one.get("change")))
        output.say(f"  schema: {plain(str(one.get('table')))}.{plain(str(one.get('field')))} {told}")
    output.say(f"  all {thousands(len(changes))} in raw.schema_changes")


def render_missing(output: Output, job: Job) -> bool:
    """Say that not one of the accounts asked for exists. False, and nothing said, where any does or none was named."""
    for part in job.parts:
        result = part.result or {}
        if result.get("missing") and not result.get("candidates"):
            accounts = counted(result["missing"], "account")
            output.note(
                f"Nothing was scored: missing {accounts}: no such account is in analytics.dim_accounts. "
                "Look its id up with `gtm leads`; one that is new in the CRM needs `gtm run` first.",
                "bold red",
            )
            return True
    return False


def _render_list(output: Output, name: str, values: Sequence[Any]) -> None:
    """Objects one a line, without those that only say that they went well: a build has hundreds."""
    objects = [value for value in values if isinstance(value, dict) and value.get("status") != "passed"]
    for value in objects:
        output.say(f"  {words(name)}: {pairs(value)}")
    plain_values = [value_text(value) for value in values if not isinstance(value, dict)]
    if plain_values:
        more = len(plain_values) - _MOST_NAMES
        tail = f" and {thousands(more)} more" if more > 0 else ""
        output.say(f"  {words(name)}: {', '.join(plain_values[:_MOST_NAMES])}{tail}")


def _render_nested(output: Output, name: str, values: Mapping[str, Any]) -> None:
    if not all(isinstance(value, dict) for value in values.values()):
        output.say(f"  {words(name)}: {pairs(values)}")
        return
    columns = list(dict.fromkeys(column for value in values.values() for column in value))
    table = output.new_table(words(name), *map(words, columns))
    for column in table.columns[1:]:
        column.justify = "right"
    for key, value in values.items():
        cells = (value_text(value[column]) if column in value else "" for column in columns)
        table.add_row(Text(plain(key)), *map(Text, cells))
    output.table(table)
