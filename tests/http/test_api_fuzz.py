"""A moment of `make api-fuzz`: all phases, on what the three services have in common."""

from pathlib import Path

import pytest

from shared.access.callers import COMMAND_LINE
from shared.access.key_store import KeyStore
from shared.operations.database import OperationsDatabase
from shared.settings import app_settings
from tests.http.small_api import SmallApi
from tests.http.trying import try_all
from tests.http.write_openapi import to_text


def test_schemathesis_finds_nothing(
    operations: OperationsDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("GTM_ENV", "production")
    app_settings.cache_clear()
    key = KeyStore(operations).create("fuzz", ["admin"], caller=COMMAND_LINE).text
    description = tmp_path / "small.json"
    options = ["--seed", "1", "--header", f"Authorization: Bearer {key}"]
    with SmallApi() as api:
        description.write_text(to_text(api.app.openapi()))
        done = try_all(description, api.url, tmp_path, examples=1, options=options)
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]
    assert "9 passed" in done.stdout, "all operations but the stream were tried"
