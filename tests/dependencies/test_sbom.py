"""The bill of materials of the locks: valid CycloneDX, complete, and the same twice but for its number and time."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.dependencies import sbom
from tests.dependencies.packages import IMAGES, REPOSITORY, read_lock


def _bill(name: str, folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(sbom.write_bill(name, "no-such-tag", folder / "sbom").read_text())
    return loaded


@pytest.mark.parametrize("name", IMAGES)
def test_a_bill_names_every_package_with_its_hashes_and_licence(name: str, tmp_path: Path) -> None:
    bill = _bill(name, tmp_path)
    pins = {pin.name: pin for pin in read_lock(REPOSITORY / "requirements" / f"{name}.txt") if pin.is_for_this_platform}
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["properties"] == [{"name": "fleet-gtm:source", "value": "lock alone"}]
    found = {component["name"]: component for component in bill["components"]}
    assert {key: one["version"] for key, one in found.items()} == {key: pin.version for key, pin in pins.items()}
    assert all({entry["content"] for entry in found[key]["hashes"]} == set(pin.hashes) for key, pin in pins.items())
    assert [key for key, one in found.items() if not one.get("licenses")] == []
    assert found["sqlalchemy"]["purl"] == f"pkg:pypi/sqlalchemy@{pins['sqlalchemy'].version}"


def test_a_repeat_differs_in_number_and_time_alone(tmp_path: Path) -> None:
    first, second = _bill("scoring", tmp_path), _bill("scoring", tmp_path)
    for bill in (first, second):
        bill.pop("serialNumber")
        bill["metadata"].pop("timestamp")
    assert first == second
