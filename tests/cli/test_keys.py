"""`gtm keys` and `gtm audit` on a real operations database, and the same by the images' door."""

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from shared.access.keys import parse_key
from tests.cli.conftest import Gtm
from tests.conftest import REPOSITORY


@pytest.fixture
def operations_file(clean_env: None, _migrated_template: Path, tmp_path: Path) -> Path:
    path = tmp_path / "data" / "operations.sqlite3"
    path.parent.mkdir()
    return Path(shutil.copy(_migrated_template, path))


def test_a_key_is_printed_once_and_alone_listed_without_its_secret_and_revoked(
    run_gtm: Gtm, operations_file: Path
) -> None:
    made = run_gtm("keys", "create", "--name", "nightly", "--scope", "run", "--scope", "read", "--expires-in", "90d")
    assert made.exit_code == 0
    given = parse_key(made.stdout.removesuffix("\n"))
    assert given is not None
    assert given.key_id in made.stderr and "expires at" in made.stderr and given.secret not in made.stderr
    assert given.secret.encode() not in operations_file.read_bytes()

    listed = run_gtm("keys", "list")
    assert given.key_id in listed.stdout and "read run" in listed.stdout and given.secret not in listed.stdout
    for _ in range(2):
        assert run_gtm("keys", "revoke", given.key_id).exit_code == 0
    (key,) = run_gtm("keys", "list", "--json").json()
    assert (key["key_id"], key["name"], key["scopes"], key["state"]) == (
        given.key_id,
        "nightly",
        ["read", "run"],
        "revoked",
    )
    assert "hash" not in str(key)
    log = run_gtm("audit", "list", "--json").json()
    assert [entry["action"] for entry in log] == ["key.revoke", "key.create"]
    assert "key.revoke" in run_gtm("audit", "list", "--action", "key.revoke").stdout


def test_json_holds_the_key_and_nothing_else_is_on_stdout(run_gtm: Gtm, operations_file: Path) -> None:
    made = run_gtm("keys", "create", "--name", "nightly", "--scope", "read", "--json").json()
    assert parse_key(made["key"]) is not None and made["expires_at"] is None
    revoked = run_gtm("keys", "revoke", made["key_id"], "--json").json()
    assert (revoked["key_id"], revoked["state"]) == (made["key_id"], "revoked")


def test_what_can_not_be_made_is_refused_with_its_mend(run_gtm: Gtm, operations_file: Path) -> None:
    for arguments, code in (
        (("keys", "create", "--name", "Ann Lee", "--scope", "read"), "key-invalid"),
        (("keys", "create", "--name", "n", "--scope", "everything"), "key-invalid"),
        (("keys", "create", "--name", "n", "--scope", "read", "--expires-in", "soon"), "key-invalid"),
        (("keys", "revoke", "aaaaaaaaaaaa"), "key-not-found"),
    ):
        ended = run_gtm(*arguments, "--json")
        assert (ended.exit_code, ended.json()["code"]) == (2, code), arguments


def test_without_an_operations_database_none_is_made(run_gtm: Gtm, tmp_path: Path) -> None:
    ended = run_gtm("keys", "create", "--name", "n", "--scope", "read")
    assert ended.exit_code == 2 and ended.stdout == ""
    assert "shared.operations.migrate" in ended.stderr
    assert not (tmp_path / "data").exists()


def test_verify_names_the_broken_row_and_a_head_that_is_gone(run_gtm: Gtm, operations_file: Path) -> None:
    for name in ("a", "b", "c"):
        run_gtm("keys", "create", "--name", name, "--scope", "read")
    whole = run_gtm("audit", "verify")
    head = re.search(r"[0-9a-f]{64}", whole.stdout)
    assert whole.exit_code == 0 and "3 rows, unchanged" in whole.stdout and head is not None
    assert run_gtm("audit", "verify", "--expect", head[0]).exit_code == 0
    with sqlite3.connect(operations_file) as connection:
        connection.execute("drop trigger audit_log_no_delete")
        connection.execute("delete from audit_log where seq = 3")
    cut = run_gtm("audit", "verify", "--expect", head[0])
    assert cut.exit_code == 1 and "cut off" in cut.stdout
    with sqlite3.connect(operations_file) as connection:
        connection.execute("drop trigger audit_log_no_update")
        connection.execute("update audit_log set actor = 'nobody' where seq = 1")
    connection.close()
    nothing_kept = run_gtm("audit", "verify", "--expect", "")  # "$(tail -1 heads)" of a file that is gone
    assert nothing_kept.exit_code == 2 and "64 hexadecimal digits" in nothing_kept.stderr
    broken = run_gtm("audit", "verify", "--json")
    assert (broken.exit_code, broken.json()["broken_at"], broken.json()["is_whole"]) == (1, 1, False)


def test_a_token_of_an_earlier_release_and_a_key_that_is_none_are_told(
    run_gtm: Gtm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GTM_API_TOKEN", "a-token-of-at-least-24-characters")
    told = run_gtm("status")
    assert told.exit_code == 2 and "GTM_API_KEY" in told.stderr and "a-token" not in told.stderr
    monkeypatch.setenv("GTM_API_KEY", "a-token-of-at-least-24-characters")
    told = run_gtm("status")
    assert told.exit_code == 2 and "gtm keys create" in told.stderr and "a-token" not in told.stderr


def test_the_images_door_does_the_same(operations_file: Path, run_gtm: Gtm) -> None:
    """No typer, no rich: what `docker compose run` starts."""
    command = [sys.executable, "-m", "shared.access", "create", "--name", "smoke", "--scope", "run"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    given = parse_key(done.stdout.removesuffix("\n"))
    assert given is not None and given.key_id in done.stderr
    (key,) = run_gtm("keys", "list", "--json").json()
    assert (key["key_id"], key["scopes"]) == (given.key_id, ["run"])
    code = "import sys, shared.access.__main__ as door; assert not {'typer', 'rich', 'cli'} & set(sys.modules)"
    code += "; sys.exit(door.main(['revoke', 'aaaaaaaaaaaa']) * 100"
    code += " + door.main(['verify', '--expect', '']) * 10 + door.main(['verify']))"
    refused = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
    assert refused.returncode == 220 and "no key" in refused.stderr
    assert json.loads(refused.stdout)["count"] == 1
