"""`gtm keys`: who may call the services. It writes the operations database itself: so the first key comes to be."""

from typing import Annotated

import typer
from rich.text import Text

from cli.administration import administering
from cli.options import EXIT_CODES, JsonOption
from cli.output import Output

_STYLES = {"active": "green", "expired": "dim", "revoked": "dim"}

keys_app = typer.Typer(help="Make, list and revoke API keys, on the operations database.", no_args_is_help=True)


@keys_app.callback()
def keys() -> None:
    """Make, list and revoke API keys, on the operations database."""


@keys_app.command(epilog=EXIT_CODES)
def create(
    name: Annotated[str, typer.Option(help="What will use it, such as nightly-sync.")],
    scope: Annotated[list[str], typer.Option(help="read, run, admin (reads and runs too) or webhook; repeatable.")],
    expires_in: Annotated[
        str | None, typer.Option("--expires-in", metavar="90d", help="12h, 90d, 52w.", show_default="never")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key and print it, this once: the key alone on stdout, so that it can be piped."""
    from datetime import UTC, datetime

    from shared.access.administration import create_key, describe_key  # SQLAlchemy: not for every command's start

    output = Output(as_json=as_json)
    with administering(output):
        created = create_key(name, scope, expires_in)
    if as_json:
        output.json({"key": created.text, **created.stored.to_json(datetime.now(UTC))})
    else:
        typer.echo(created.text)
    output.note(describe_key(created))


@keys_app.command("list", epilog=EXIT_CODES)
def list_all(as_json: JsonOption = False) -> None:
    """List all keys, revoked ones too: id, name, scopes, state, when each was last used. Secrets are stored nowhere."""
    from shared.access.administration import list_keys

    output = Output(as_json=as_json)
    with administering(output):
        found = list_keys()
    if as_json:
        output.json(found)
        return
    table = output.new_table("id", "name", "scopes", "state", "created", "expires", "last used")
    for key in found:
        times = (_shown(key[name]) for name in ("created_at", "expires_at", "last_used_at"))
        cells = (key["key_id"], key["name"], " ".join(key["scopes"]), key["state"], *times)
        table.add_row(*(Text(cell) for cell in cells), style=_STYLES[key["state"]])
    output.table(table)
    if not found:
        output.note("There is no key yet: gtm keys create --name NAME --scope read --scope run")


@keys_app.command(epilog=EXIT_CODES)
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The twelve characters after `gtm_`.")],
    as_json: JsonOption = False,
) -> None:
    """End a key for good. Services that run refuse it within two seconds."""
    from datetime import UTC, datetime

    from shared.access.administration import revoke_key

    output = Output(as_json=as_json)
    with administering(output):
        key = revoke_key(key_id)
    if as_json:
        output.json(key.to_json(datetime.now(UTC)))
    output.say(f"{key.key_id} of {key.name} is revoked since {_shown(str(key.revoked_at))} UTC.")


def _shown(time: str | None) -> str:
    """To the second; the docs say UTC."""
    return time.replace("T", " ")[:19] if time else "-"
