"""docker/pin_digests.py, with a stand-in for the `docker` command: a registry can't be had here."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

SCRIPT = REPOSITORY / "docker" / "pin_digests.py"
# Answers as docker 20.10 and later do: `pull` names what it pulled, `image inspect` the digests that it is known by.
DOCKER = """#!/bin/sh
for image; do :; done
[ -n "$AWAY" ] && { echo "dial tcp: lookup registry: no such host" >&2; exit 1; }
[ "$1" = pull ] && { echo "$image"; exit 0; }
echo "somewhere.example/else@sha256:$(printf other | sha256sum | cut -c -64)"
echo "${image%%:*}@sha256:$(printf "$WEEK$image" | sha256sum | cut -c -64)"
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("Dockerfile", "docker-compose.yml"):
        shutil.copy(REPOSITORY / name, tmp_path)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "docker").write_text(DOCKER)
    (tmp_path / "bin" / "docker").chmod(0o755)
    return tmp_path


def _run(checkout: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{checkout / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(
        [sys.executable, SCRIPT], cwd=checkout, env={"PATH": path, **environment}, capture_output=True, text=True
    )


def _digest(image: str, week: str = "") -> str:
    return hashlib.sha256(f"{week}{image}".encode()).hexdigest()


def test_every_public_image_is_pinned_and_no_other(checkout: Path) -> None:
    assert _run(checkout).returncode == 0
    named = re.findall(r"^FROM (\S+)", (checkout / "Dockerfile").read_text(), re.MULTILINE)
    public = {image for image in named if ":" in image}
    assert public == {
        f"{image}@sha256:{_digest(image)}" for image in ("python:3.11-slim-bookworm", "redis:7.2-bookworm")
    }
    assert {"python", "builder", "runtime", "base-app"} >= set(named) - public
    compose = (checkout / "docker-compose.yml").read_text()
    assert f"image: postgres:15-bookworm@sha256:{_digest('postgres:15-bookworm')}\n" in compose
    assert re.search(r"\$\{OLLAMA_IMAGE:-ollama/ollama:[\d.]+@sha256:[0-9a-f]{64}\}", compose)
    assert "image: fleet-gtm-ingest:${GTM_IMAGE_TAG:-local}\n" in compose


def test_a_repeat_changes_nothing_until_the_registry_has_something_new(checkout: Path) -> None:
    _run(checkout)
    first = (checkout / "Dockerfile").read_text()
    _run(checkout)
    assert (checkout / "Dockerfile").read_text() == first
    _run(checkout, WEEK="2")
    image = "redis:7.2-bookworm"
    assert (checkout / "Dockerfile").read_text() == re.sub(
        r"(FROM (\w+:[\w.-]+)@sha256:)\S+", lambda found: found[1] + _digest(found[2], "2"), first
    )
    assert _digest(image, "2") in (checkout / "Dockerfile").read_text()


def test_a_registry_that_is_away_changes_nothing_and_is_said(checkout: Path) -> None:
    before = (checkout / "Dockerfile").read_text()
    refused = _run(checkout, AWAY="yes")
    assert refused.returncode == 1 and "no such host" in refused.stderr
    assert (checkout / "Dockerfile").read_text() == before
