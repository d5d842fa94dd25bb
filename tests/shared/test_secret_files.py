"""Secret settings from files, and that a secret is a secret to whoever prints, logs or refuses settings."""

import importlib
import os
import pkgutil
import re
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings

import cli
import local
import services
import shared
from shared.access.keys import mint_key
from shared.env_settings import EnvSettings, explain_wrong_settings, is_secret, secret_names
from shared.settings import OperationsSettings, QueueSettings, WarehouseSettings

SECRET_NAME = re.compile(r"(TOKEN|PASSWORD|SECRET|KEY|PASSPHRASE)$")
URLS_WITH_PASSWORDS = {"REDIS_URL", "GTM_OPERATIONS_URL", "GTM_OPERATIONS_SERVICE_URL"}
VALUE = mint_key().text  # of the one form that some of them have


def _settings_classes() -> list[type[BaseSettings]]:
    for package in (shared, services, cli, local):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if "settings" in module.name or module.name == "shared.doctor.surroundings":
                importlib.import_module(module.name)
    found, waiting = [], [EnvSettings]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            if not kind.__module__.startswith("tests"):
                found.append(kind)
                waiting.append(kind)
    return found


CLASSES = sorted(_settings_classes(), key=lambda kind: kind.__name__)
FROM_FILES = [(kind, name) for kind in CLASSES for name in sorted(secret_names(kind))]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_what_is_named_like_a_secret_is_one(kind: type[BaseSettings]) -> None:
    for field in kind.model_fields.values():
        name = str(field.validation_alias)
        if field.annotation is not bool and (SECRET_NAME.search(name) or name in URLS_WITH_PASSWORDS):
            assert is_secret(field), f"{kind.__name__}: {name} must be a SecretStr"


def test_the_walk_found_them() -> None:
    assert {name for _, name in FROM_FILES} >= {
        "GTM_OPERATIONS_URL",
        "REDIS_URL",
        "SNOWFLAKE_PASSWORD",
        "GTM_SNOWFLAKE_PRIVATE_KEY_PASSPHRASE",
        "GTM_HUBSPOT_TOKEN",
        "GTM_SALESFORCE_CLIENT_SECRET",
        "GTM_WEBHOOK_SECRET",
        "GTM_HUBSPOT_WEBHOOK_SECRET",
        "GTM_SALESFORCE_WEBHOOK_TOKEN",
        "GTM_MODEL_API_KEY",
    }


@pytest.mark.parametrize(("kind", "name"), FROM_FILES, ids=[f"{kind.__name__}-{name}" for kind, name in FROM_FILES])
def test_each_may_stand_in_a_file(
    kind: type[BaseSettings], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{VALUE}\n")
    monkeypatch.setenv(f"{name}_FILE", str(file))
    settings = kind()
    field = next(field for field, info in kind.model_fields.items() if info.validation_alias == name)
    value = getattr(settings, field)
    assert isinstance(value, SecretStr) and value.get_secret_value() == VALUE
    assert VALUE not in repr(settings) + str(settings)


def test_only_the_line_end_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "secret"
    monkeypatch.setenv("SNOWFLAKE_PASSWORD_FILE", str(file))
    for content, wanted in ((" a b \r\n", " a b "), ("ä€\n\n", "ä€"), ("x", "x")):
        file.write_text(content, newline="")
        assert WarehouseSettings().snowflake_password.get_secret_value() == wanted


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "can't be read: No such file"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\xff\xfe", "no text in UTF-8"),
        (b"x" * 70_000, "more than 64 KiB"),
    ],
    ids=["missing", "empty", "blank", "bytes", "huge"],
)
def test_a_file_that_is_no_use_is_told_and_nothing_stands_in_for_it(
    content: bytes | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("REDIS_URL_FILE", str(file))
    with pytest.raises(ValidationError) as refused:
        QueueSettings()
    (line,) = explain_wrong_settings(refused.value)
    assert line.startswith("REDIS_URL: REDIS_URL_FILE (") and said in line and "xxxx" not in line


def test_a_folder_and_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL_FILE", str(tmp_path))
    with pytest.raises(ValidationError, match="Is a directory"):
        QueueSettings()
    shut = tmp_path / "shut"
    shut.write_text(VALUE)
    shut.chmod(0)
    if os.access(shut, os.R_OK):
        return  # root reads everything
    monkeypatch.setenv("REDIS_URL_FILE", str(shut))
    with pytest.raises(ValidationError, match="Permission denied"):
        QueueSettings()


@pytest.mark.parametrize("name", ["REDIS_URL", "GTM_SNOWFLAKE_PRIVATE_KEY", "GTM_SNOWFLAKE_OAUTH_TOKEN"])
def test_a_secret_in_two_places_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "secret"
    file.write_text("redis://127.0.0.1:6379/1")
    monkeypatch.setenv(f"{name}_FILE", str(file))
    monkeypatch.setenv(name, "redis://:sesame-open@127.0.0.1/2")
    with pytest.raises(ValidationError, match=f"set {name} or {name}_FILE, not both") as refused:
        (QueueSettings if name == "REDIS_URL" else WarehouseSettings)()
    assert "sesame" not in str(refused.value)


def test_a_file_may_be_named_in_dot_env(tmp_path: Path) -> None:
    secret, env = tmp_path / "secret", tmp_path / ".env"
    secret.write_text("postgresql+psycopg://gtm:sesame@db/gtm\n")
    env.write_text(f"GTM_OPERATIONS_URL_FILE={secret}\n")
    assert OperationsSettings(_env_file=env).database_url.endswith("@db/gtm")  # type: ignore[call-arg]


def test_no_error_shows_what_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """A traceback at start prints the error as it is."""
    monkeypatch.setenv("GTM_OPERATIONS_URL", "postgresql://gtm:open-sesame@db/gtm")
    monkeypatch.setenv("GTM_LEASE_SECONDS", "1")
    with pytest.raises(ValidationError) as refused:
        OperationsSettings()
    assert "sesame" not in str(refused.value) + repr(refused.value)
    assert "GTM_HEARTBEAT_SECONDS" in str(refused.value)
