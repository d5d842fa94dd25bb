"""The licence check refuses what it is there for, and the shipped policy holds for what is installed."""

from pathlib import Path

import pytest

from tests.dependencies import licences
from tests.dependencies.licences import POLICY, Policy, find_faults, find_leftovers, read_policy
from tests.dependencies.packages import IMAGES, REPOSITORY, read_licence, read_lock

HASH = "--hash=sha256:" + "0" * 64
PERMISSIVE = frozenset({"MIT", "BSD-3-Clause", "Apache-2.0"})


def test_every_package_of_the_locks_is_allowed(capsys: pytest.CaptureFixture[str]) -> None:
    assert licences.main([]) == 0, capsys.readouterr().err


def test_the_lock_is_read_as_uv_writes_it(tmp_path: Path) -> None:
    lock = tmp_path / "some.txt"
    lock.write_text(
        "# a comment\n"
        f"httpx==0.28.1 \\\n    {HASH} \\\n    {HASH.replace('0', '1')}\n    # via fleet-gtm\n"
        f"mashumaro[msgpack]==3.14 ; sys_platform == 'win32' \\\n    {HASH}\n"
    )
    first, second = read_lock(lock)
    assert (first.name, first.version, first.marker, len(first.hashes)) == ("httpx", "0.28.1", None, 2)
    assert (second.name, second.version, len(second.hashes)) == ("mashumaro", "3.14", 1)
    assert first.is_for_this_platform and not second.is_for_this_platform


@pytest.mark.parametrize("name", IMAGES)
def test_every_line_of_a_lock_is_a_pin_with_hashes(name: str) -> None:
    path = REPOSITORY / "requirements" / f"{name}.txt"
    pins = read_lock(path)
    assert len(pins) == path.read_text().count("==") and all(pin.hashes for pin in pins)


@pytest.mark.parametrize(
    ("licence", "is_allowed"),
    [
        ("MIT", True),
        ("MIT AND BSD-3-Clause", True),
        ("GPL-3.0-only OR MIT", True),
        ("GPL-3.0-only", False),
        ("MIT AND GPL-3.0-only", False),
        ("(GPL-2.0-only OR AGPL-3.0-only) AND MIT", False),
    ],
)
def test_of_two_licences(licence: str, is_allowed: bool) -> None:
    assert Policy(PERMISSIVE, {}).allows("any", licence) is is_allowed


def _faults(policy: Policy, tmp_path: Path, *lines: str) -> str:
    lock = tmp_path / "some.txt"
    lock.write_text("".join(f"{line} {HASH}\n" for line in lines))
    return "\n".join(find_faults(policy, lock))


def test_another_licence_needs_an_exception_for_that_package(tmp_path: Path) -> None:
    assert read_licence("psycopg") == "LGPL-3.0-only"
    assert "psycopg: LGPL-3.0-only is not allowed" in _faults(Policy(PERMISSIVE, {}), tmp_path, "psycopg==3.3")
    excepted = Policy(PERMISSIVE, {"psycopg": {"accepted": "LGPL-3.0-only", "why": "as it comes"}})
    assert _faults(excepted, tmp_path, "psycopg==3.3") == ""
    assert "psycopg-binary" in _faults(excepted, tmp_path, "psycopg-binary==3.3")


def test_what_can_not_be_judged_is_said(tmp_path: Path) -> None:
    policy = Policy(PERMISSIVE, {})
    assert "supervisor: tells no licence" in _faults(policy, tmp_path, "supervisor==4.3")
    assert "no-such-package: is in some.txt and not installed" in _faults(policy, tmp_path, "no-such-package==1.0")


def test_an_exception_that_nothing_needs_is_a_fault() -> None:
    packages = {
        "httpx": {"accepted": "GPL-3.0-only", "why": "once"},
        "gone": {"accepted": "MPL-2.0", "why": "once"},
        "psycopg": {"accepted": "LGPL-3.0-only"},
    }
    found = "\n".join(find_leftovers(Policy(PERMISSIVE, packages), {"httpx", "psycopg"}))
    assert "httpx needs no exception" in found and "gone is in no lock" in found and "psycopg lacks its `why`" in found


def test_the_policy_gives_its_reasons() -> None:
    assert all(len(entry["why"]) > 5 for entry in read_policy(POLICY).packages.values())
