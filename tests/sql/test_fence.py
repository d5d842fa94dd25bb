"""What the stand-in needs, Snowflake must not get: no branch of the product knows of it, and no setting leads to it in
production."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from shared.settings import WarehouseSettings
from tests.conftest import REPOSITORY

PRODUCT = ("shared", "services", "docker", "dbt_transform")
STAND_IN = re.compile(r"fakesnow|emulat|\bfake_?snow|tests\.(fakes|emulator)", re.IGNORECASE)
ADDRESS = re.compile(r"snowflake_(host|port|protocol)", re.IGNORECASE)
# Where the address of the stand-in is a setting, goes to the driver, goes to dbt, and is named to an operator.
KNOWS_THE_ADDRESS = {
    "shared/settings.py",
    "shared/warehouse/snowflake_connection.py",
    "dbt_transform/profiles.yml",
}
STAND_IN_ADDRESS = {"GTM_SNOWFLAKE_HOST": "127.0.0.1", "GTM_SNOWFLAKE_PORT": 8080, "GTM_SNOWFLAKE_PROTOCOL": "http"}


def _product_files() -> Iterator[Path]:
    for folder in PRODUCT:
        for path in sorted((REPOSITORY / folder).rglob("*")):
            if path.suffix in (".py", ".sql", ".yml", ".yaml", ".toml") and "__pycache__" not in path.parts:
                yield path


def _name(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def test_no_code_of_the_product_knows_of_the_stand_in() -> None:
    files = list(_product_files())
    assert len(files) > 300
    assert [_name(path) for path in files if STAND_IN.search(path.read_text())] == []


def test_only_connecting_reads_the_address_of_the_stand_in() -> None:
    reading = {_name(path) for path in _product_files() if ADDRESS.search(path.read_text())}
    assert reading <= KNOWS_THE_ADDRESS


def test_no_image_holds_the_stand_in() -> None:
    for requirements in sorted((REPOSITORY / "requirements").glob("*.txt")):
        if requirements.name != "dev.txt":
            assert "fakesnow" not in requirements.read_text(), requirements.name
    copied = re.findall(r"^COPY (?!--from)(.*)$", (REPOSITORY / "Dockerfile").read_text(), re.MULTILINE)
    assert copied and not [line for line in copied if re.search(r"(^|\s)(tests|\.)(/|\s)", line)]


@pytest.mark.parametrize("setting", STAND_IN_ADDRESS)
def test_production_refuses_the_address_of_a_stand_in(setting: str) -> None:
    address = {setting: STAND_IN_ADDRESS[setting]}
    with pytest.raises(ValidationError, match="GTM_SNOWFLAKE_HOST, _PORT and _PROTOCOL are for tests and the demo"):
        WarehouseSettings.model_validate({"GTM_ENV": "production", **address})


@pytest.mark.parametrize("host", ["10.0.0.7", "snowflake.example.com", "127.0.0.1.example.com"])
def test_no_other_machine_is_taken_for_snowflake(host: str) -> None:
    address = {**STAND_IN_ADDRESS, "GTM_SNOWFLAKE_HOST": host}
    with pytest.raises(ValidationError, match="must be this machine"):
        WarehouseSettings.model_validate({"GTM_ENV": "local", **address})


def test_a_laptop_takes_the_stand_in() -> None:
    assert WarehouseSettings.model_validate({"GTM_ENV": "local", **STAND_IN_ADDRESS}).snowflake_port == 8080
