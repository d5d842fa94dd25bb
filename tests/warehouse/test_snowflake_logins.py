"""How the product logs in to Snowflake: key pair, OAuth or password, and what each session is told."""

import base64
import json
import logging
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from pydantic import ValidationError

from shared.errors import TerminalError
from shared.redaction import redact
from shared.settings import WarehouseSettings
from shared.warehouse import Warehouse
from shared.warehouse.snowflake_connection import connect_arguments, dbt_environment
from tests.conftest import REPOSITORY
from tests.emulator import SnowflakeEmulator

PASSWORD = {"SNOWFLAKE_PASSWORD": "not-a-secret", "GTM_SNOWFLAKE_ALLOW_PASSWORD": True}
NAMED = {f"SNOWFLAKE_{key}": "gtm" for key in ("ACCOUNT", "USER", "WAREHOUSE", "DATABASE", "ROLE")}
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def of(**more: Any) -> WarehouseSettings:
    return WarehouseSettings.model_validate({"GTM_WAREHOUSE": "snowflake", **NAMED, **more})


def pem(passphrase: bytes | None = None, key: rsa.RSAPrivateKey = KEY) -> bytes:
    how: KeySerializationEncryption = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)


def der() -> bytes:
    return KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def arguments(settings: WarehouseSettings) -> dict[str, Any]:
    return connect_arguments(settings, query_tag="t")


def test_a_key_from_wherever_it_comes(tmp_path: Path) -> None:
    file, shut, raw = tmp_path / "key.p8", tmp_path / "shut.p8", tmp_path / "key.der"
    file.write_bytes(pem())
    shut.write_bytes(pem(b"sesame"))
    raw.write_bytes(der())
    given = [
        {"GTM_SNOWFLAKE_PRIVATE_KEY_FILE": file},
        {"GTM_SNOWFLAKE_PRIVATE_KEY_FILE": raw},
        {"GTM_SNOWFLAKE_PRIVATE_KEY_FILE": shut, "GTM_SNOWFLAKE_PRIVATE_KEY_PASSPHRASE": "sesame"},
        {"GTM_SNOWFLAKE_PRIVATE_KEY": pem().decode()},
        {"GTM_SNOWFLAKE_PRIVATE_KEY": pem().decode().replace("\n", "\\n")},
        {"GTM_SNOWFLAKE_PRIVATE_KEY": base64.b64encode(der()).decode()},
        {"GTM_SNOWFLAKE_PRIVATE_KEY": pem(b"sesame").decode(), "GTM_SNOWFLAKE_PRIVATE_KEY_PASSPHRASE": "sesame"},
    ]
    for one in given:
        found = arguments(of(**one, SNOWFLAKE_PASSWORD="not-sent"))  # a key goes before a password
        key = load_der_private_key(found["private_key"], None)
        assert isinstance(key, rsa.RSAPrivateKey) and key.private_numbers() == KEY.private_numbers()
        assert found["authenticator"] == "SNOWFLAKE_JWT" and "password" not in found


def test_a_key_that_can_not_be_used_says_what_to_mend(tmp_path: Path) -> None:
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    given = [
        ({"GTM_SNOWFLAKE_PRIVATE_KEY_FILE": tmp_path / "none"}, "can't be read: No such file"),
        (
            {"GTM_SNOWFLAKE_PRIVATE_KEY": pem(b"sesame").decode()},
            "is encrypted: set GTM_SNOWFLAKE_PRIVATE_KEY_PASSPHRASE",
        ),
        (
            {"GTM_SNOWFLAKE_PRIVATE_KEY": pem(b"sesame").decode(), "GTM_SNOWFLAKE_PRIVATE_KEY_PASSPHRASE": "open"},
            "opened with",
        ),
        (
            {"GTM_SNOWFLAKE_PRIVATE_KEY": pem().decode(), "GTM_SNOWFLAKE_PRIVATE_KEY_PASSPHRASE": "x"},
            "is not encrypted",
        ),
        ({"GTM_SNOWFLAKE_PRIVATE_KEY": "-----BEGIN NOTHING-----"}, "no private key"),
        ({"GTM_SNOWFLAKE_PRIVATE_KEY": "?!"}, "neither PEM nor base64"),
        ({"GTM_SNOWFLAKE_PRIVATE_KEY": pem(key=short).decode()}, "has 1024 bits"),
    ]
    for one, said in given:
        with pytest.raises(TerminalError, match=said) as refused:
            arguments(of(**one))
        assert refused.value.code == "warehouse-key-invalid"
        assert "PRIVATE KEY-----" not in refused.value.detail and "MII" not in refused.value.detail


def test_a_key_that_was_read_from_a_file_is_in_no_line(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(pem())
    given = dbt_environment(of(GTM_SNOWFLAKE_PRIVATE_KEY_FILE=tmp_path / "key"))
    for text in (given["DBT_ENV_SECRET_SNOWFLAKE_PRIVATE_KEY"], *pem().decode().splitlines()[1:-2]):
        assert redact(f"a PRIVATE KEY: {text}") == "a PRIVATE KEY: ***"


def test_a_token_is_read_at_each_login(tmp_path: Path) -> None:
    token = tmp_path / "token"
    settings = of(GTM_SNOWFLAKE_AUTH="oauth", GTM_SNOWFLAKE_OAUTH_TOKEN_FILE=token)
    for text in ("first", "second"):
        token.write_text(text + "\n")
        assert arguments(settings) | {"authenticator": "oauth", "token": text} == arguments(settings)
        assert redact(f"refused {text}") == "refused ***"
    token.unlink()
    with pytest.raises(TerminalError, match="GTM_SNOWFLAKE_OAUTH_TOKEN_FILE"):
        arguments(settings)


def test_a_password_alone_is_refused_unless_that_is_allowed() -> None:
    """Not where the stand-in listens, which is this machine's."""
    for more in ({}, {"GTM_SNOWFLAKE_AUTH": "password"}):
        settings = of(SNOWFLAKE_PASSWORD="p-sesame", **more)
        for use in (settings.require_snowflake, lambda: arguments(settings), lambda: dbt_environment(settings)):
            with pytest.raises(TerminalError, match="GTM_SNOWFLAKE_ALLOW_PASSWORD=true") as refused:
                use()
            assert refused.value.code == "warehouse-password-refused" and "sesame" not in refused.value.detail
    assert arguments(of(**PASSWORD))["password"] == "not-a-secret"
    assert arguments(of(SNOWFLAKE_PASSWORD="x", GTM_ENV="local", GTM_SNOWFLAKE_HOST="127.0.0.1"))["password"] == "x"


def test_each_way_names_what_it_lacks() -> None:
    for auth, missing in (
        ("key-pair", "PRIVATE_KEY_FILE"),
        ("oauth", "OAUTH_TOKEN_FILE"),
        ("password", "SNOWFLAKE_PASSWORD"),
    ):
        with pytest.raises(TerminalError, match=missing):
            of(GTM_SNOWFLAKE_AUTH=auth).require_snowflake()


def test_no_secret_is_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    secrets = {
        "SNOWFLAKE_PASSWORD": "p-sesame",
        "GTM_SNOWFLAKE_OAUTH_TOKEN": "t-sesame",
        "GTM_SNOWFLAKE_PRIVATE_KEY_PASSPHRASE": "s-sesame",
        "GTM_SNOWFLAKE_PRIVATE_KEY": pem(b"s-sesame").decode(),
    }
    with caplog.at_level(logging.DEBUG):
        settings = of(**secrets)
        arguments(settings)
    shown = repr(settings) + str(settings) + caplog.text
    assert "sesame" not in shown and "BEGIN" not in shown


def test_another_host_is_for_this_machine_and_local_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("HOST", "127.0.0.1"), ("PORT", 8080), ("PROTOCOL", "http")):
        with pytest.raises(ValidationError, match="for tests and the demo"):
            of(GTM_ENV="production", **{f"GTM_SNOWFLAKE_{name}": value})
    with pytest.raises(ValidationError, match="must be this machine"):
        of(GTM_ENV="local", GTM_SNOWFLAKE_HOST="evil.example", GTM_SNOWFLAKE_PROTOCOL="http")
    assert "host" not in arguments(of(**PASSWORD, GTM_ENV="production"))


def test_names_can_not_carry_sql() -> None:
    for name in ("ROLE", "DATABASE", "WAREHOUSE", "SCHEMA"):
        with pytest.raises(ValidationError):
            of(**{f"SNOWFLAKE_{name}": "x; drop database gtm"})


def test_the_schema_of_the_marts_is_no_choice() -> None:
    assert of(SNOWFLAKE_SCHEMA="ANALYTICS").snowflake_schema == "ANALYTICS"
    with pytest.raises(ValidationError, match="SNOWFLAKE_DATABASE"):
        of(SNOWFLAKE_SCHEMA="marts")


def test_what_every_session_is_told() -> None:
    found = arguments(of(**PASSWORD, GTM_SNOWFLAKE_STATEMENT_TIMEOUT_SECONDS=60))
    assert found["session_parameters"] == {
        "QUERY_TAG": "t",
        "TIMEZONE": "UTC",
        "TIMESTAMP_TYPE_MAPPING": "TIMESTAMP_NTZ",
        "TIMESTAMP_INPUT_FORMAT": "AUTO",
        "DATE_INPUT_FORMAT": "AUTO",
        "STATEMENT_TIMEOUT_IN_SECONDS": 60,
        "LOCK_TIMEOUT": 900,
        "ABORT_DETACHED_QUERY": True,
    }
    assert (found["login_timeout"], found["network_timeout"], found["autocommit"]) == (30, 120, False)


def test_dbt_takes_every_key_that_we_take(tmp_path: Path) -> None:
    """Read by us: of files it takes PEM alone. What does not begin with a dash it reads as base64 of DER."""
    raw, shut = tmp_path / "key.der", tmp_path / "shut.p8"
    raw.write_bytes(der())
    shut.write_bytes(pem(b"sesame"))
    sesame = {"GTM_SNOWFLAKE_PRIVATE_KEY_PASSPHRASE": "sesame"}
    for given in (
        of(GTM_SNOWFLAKE_PRIVATE_KEY_FILE=raw),
        of(GTM_SNOWFLAKE_PRIVATE_KEY_FILE=shut, **sesame),
        of(GTM_SNOWFLAKE_PRIVATE_KEY=pem(b"sesame").decode().replace("\n", "\\n"), **sesame),
        of(GTM_SNOWFLAKE_PRIVATE_KEY=base64.b64encode(der()).decode()),
    ):
        told = dbt_environment(given)
        assert told["GTM_SNOWFLAKE_PRIVATE_KEY_FILE"] == "" and "sesame" not in told.values()
        assert told["DBT_ENV_SECRET_SNOWFLAKE_PASSPHRASE"] == ""
        read = load_der_private_key(base64.b64decode(told["DBT_ENV_SECRET_SNOWFLAKE_PRIVATE_KEY"], validate=True), None)
        assert isinstance(read, rsa.RSAPrivateKey) and read.private_numbers() == KEY.private_numbers()


def test_dbt_gets_the_same_and_nothing_else() -> None:
    """Every name that the profile reads is given, so that no credential can come from elsewhere; secrets by names that
    dbt keeps out of its logs."""
    by_key = dbt_environment(of(GTM_SNOWFLAKE_PRIVATE_KEY=pem().decode(), SNOWFLAKE_PASSWORD="not-sent"))
    assert "not-sent" not in by_key.values()
    by_token = dbt_environment(of(GTM_SNOWFLAKE_AUTH="oauth", GTM_SNOWFLAKE_OAUTH_TOKEN="tok"))
    assert (by_token["GTM_SNOWFLAKE_AUTHENTICATOR"], by_token["DBT_ENV_SECRET_SNOWFLAKE_TOKEN"]) == ("oauth", "tok")
    by_password = dbt_environment(of(**PASSWORD))
    secrets = [name for name, value in by_password.items() if value == "not-a-secret"]
    assert secrets == ["DBT_ENV_SECRET_SNOWFLAKE_PASSWORD"]
    target = yaml.safe_load((REPOSITORY / "dbt_transform" / "profiles.yml").read_text())["fleet_gtm"]["outputs"][
        "snowflake"
    ]
    for name in by_key.keys() - {"GTM_SNOWFLAKE_LOGIN_TIMEOUT_SECONDS"}:
        assert any(f"'{name}'" in str(value) for value in target.values()), name


def test_statements_carry_the_job_that_they_are_for(emulator: SnowflakeEmulator, snowflake: Warehouse) -> None:
    """Also in a session that served another job before, and in none of them twice."""
    for job in ("a", "b", "b"):
        with structlog.contextvars.bound_contextvars(job_id=job, job_kind="sync"), snowflake.core() as connection:
            connection.execute(sa.text("select 1 as of_a_job"))
    with snowflake.core() as connection:
        connection.execute(sa.text("select 1 as of_no_job"))
    tags = [json.loads(one["tag"]) for one in emulator.log("of_a_job|of_no_job")]
    assert [tag.get("job_id") for tag in tags] == ["a", "b", "b", None]
    assert tags[0] == {"app": "fleet_gtm", "job_id": "a", "kind": "sync"}
    assert len(emulator.log("set query_tag")) == 2


def test_a_session_that_ended_is_replaced(emulator: SnowflakeEmulator, snowflake: Warehouse) -> None:
    """Found out when it is taken from the pool: nobody's statement meets it."""
    with snowflake.core() as connection:
        connection.execute(sa.text("select 1 as first_one"))
    emulator.fail(at="statement", code="390114")
    with snowflake.core() as connection:
        assert connection.execute(sa.text("select 2 as second_one")).scalar_one() == 2
    assert emulator.statements()["logins"] == 2
