"""`python -m shared.access`: keys and the audit log where there is no `gtm`.

The new key goes to stdout alone, so that it can be piped; lists go there as one JSON object a line.
"""

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from shared.access.administration import create_key, describe_key, list_keys, list_log, revoke_key, verify_log
from shared.access.keys import SCOPES
from shared.errors import GtmError
from shared.settings import explain_wrong_settings


def _create(chosen: argparse.Namespace) -> int:
    created = create_key(chosen.name, chosen.scope, chosen.expires_in)
    sys.stdout.write(f"{created.text}\n")
    _say(describe_key(created))
    return 0


def _list(_chosen: argparse.Namespace) -> int:
    _print_lines(list_keys())
    return 0


def _revoke(chosen: argparse.Namespace) -> int:
    key = revoke_key(chosen.key_id)
    _say(f"Key {key.key_id} of {key.name} is revoked since {key.revoked_at:%Y-%m-%d %H:%M:%S} UTC.")
    return 0


def _log(chosen: argparse.Namespace) -> int:
    _print_lines(list_log(chosen.limit, chosen.action, chosen.actor))
    return 0


def _verify(chosen: argparse.Namespace) -> int:
    report = verify_log(chosen.expect)
    _print_lines([report.to_json()])
    return 0 if report.is_whole else 1


def _print_lines(items: list[dict[str, Any]]) -> None:
    for item in items:
        sys.stdout.write(f"{json.dumps(item)}\n")


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m shared.access", description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(required=True)

    def add(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text)
        command.set_defaults(run=run)
        return command

    create = add("create", _create, "make a key and print it")
    create.add_argument("--name", required=True, help="what will use it, such as nightly-sync")
    create.add_argument("--scope", required=True, action="append", choices=SCOPES, help="repeatable")
    create.add_argument(
        "--expires-in", metavar="90d", help="hours, days or weeks: 12h, 90d, 52w; else it never expires"
    )
    add("list", _list, "all keys, never their secrets")
    add("revoke", _revoke, "end a key for good").add_argument("key_id")
    log = add("log", _log, "the newest rows of the audit log")
    log.add_argument("--limit", type=int, default=50)
    log.add_argument("--action")
    log.add_argument("--actor")
    verify = add("verify", _verify, "walk the audit log; exit code 1 where it was changed")
    verify.add_argument("--expect", metavar="HASH", help="a hash that was kept elsewhere must be in it")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Exit codes: 0 done, 1 the audit log was changed, 2 refused, or wrong use."""
    chosen = _parse(arguments)
    try:
        return int(chosen.run(chosen))
    except GtmError as error:
        _say(f"{error.title}: {error.detail}")
    except ValidationError as error:
        _say(f"A setting is wrong. {'; '.join(explain_wrong_settings(error))}")
    return 2


if __name__ == "__main__":
    sys.exit(main())
