"""`gtm sync files --check`: what a sync would land and reject, before it does."""

from typing import Final

from rich.text import Text

from cli.errors import ExitCode
from cli.models import CheckedFile, FilesCheck
from cli.output import Output
from cli.text import counted, plain, thousands

_MOST_REJECTS: Final = 20


def exit_code_of(check: FilesCheck) -> ExitCode:
    """0 only when the sync would land every row of every mapped file."""
    return ExitCode.SUCCEEDED if check.is_well else ExitCode.FAILED


def render_check(output: Output, check: FilesCheck) -> None:
    """File by file, then what is wrong with each, then the verdict."""
    table = output.new_table("table", "file", "rows", "rejected", "without key", "")
    for column in table.columns[2:5]:
        column.justify = "right"
    for one in check.tables:
        for file in one.files:
            counts = (thousands(file.rows), thousands(file.rejected), thousands(file.without_key))
            state = "fails" if file.error else "landed before, is skipped" if file.has_landed else ""
            table.add_row(*map(Text, (plain(one.table), plain(file.file), *counts, state)))
    if check.tables:
        output.table(table)
    for one in check.tables:
        for file in one.files:
            _render_file(output, file)
    for reject in check.rejects[:_MOST_REJECTS]:
        place = f"{reject.file} line {reject.line} (for {reject.table})"
        output.say(f"  rejected: {plain(place)}: {plain(reject.reason)}")
    if check.rejected > _MOST_REJECTS:
        output.say(f"  and {thousands(check.rejected - _MOST_REJECTS)} more; --json lists the first 1,000", "dim")
    _render_rest(output, check)


def _render_file(output: Output, file: CheckedFile) -> None:
    for note in file.notes:
        output.say(f"  {plain(note)}")
    if file.error:
        output.say(f"  {plain(file.error)}", "red")


def _render_rest(output: Output, check: FilesCheck) -> None:
    for name, why in check.broken_files.items():
        output.say(f"  {plain(name)} can't be read: {plain(why)}.", "red")
    if check.missing_tables:
        output.say(f"  no file for: {', '.join(map(plain, check.missing_tables))}")
    if check.unmapped_files:
        output.say(f"  taken by no table: {', '.join(map(plain, check.unmapped_files))}")
    if check.is_well:
        output.say(f"All is well: a sync would land {counted(check.rows, 'row')}.", "bold green")
    elif not check.tables:
        output.say("The mapping takes no file of this folder.", "bold red")
    else:
        output.say(
            f"Not well: {counted(check.rows, 'row')} would land, {counted(check.rejected, 'row')} would be rejected"
            f"{_failing(check)}.",
            "bold red",
        )


def _failing(check: FilesCheck) -> str:
    failing = sum(file.error is not None for table in check.tables for file in table.files) + len(check.broken_files)
    return f", and {counted(failing, 'file')} would fail the sync" if failing else ""
