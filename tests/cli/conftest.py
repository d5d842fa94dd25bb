"""`gtm` in a folder without .env, pointed at a server that speaks the contract."""

import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from tests.cli.server import Behaviour, Server, build_app


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str

    def json(self) -> Any:
        """Fails on anything but one JSON document."""
        return json.loads(self.stdout)


Gtm = Callable[..., Ended]


@pytest.fixture(scope="session")
def running() -> Iterator[tuple[Behaviour, Server]]:
    """One server for the whole run: starting one costs more than any test."""
    behaviour = Behaviour()
    with Server(build_app(behaviour)) as server:
        yield behaviour, server


@pytest.fixture
def behaviour(running: tuple[Behaviour, Server]) -> Behaviour:
    """Everything works and nothing has happened."""
    vars(running[0]).update(vars(Behaviour()))
    return running[0]


@pytest.fixture
def server(running: tuple[Behaviour, Server], behaviour: Behaviour) -> Server:
    return running[1]


@pytest.fixture
def nowhere() -> str:
    """A URL at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture
def clean_env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("INGEST_URL", "TRANSFORM_URL", "SCORING_URL", "API_KEY", "API_TOKEN", "WAREHOUSE"):
        monkeypatch.delenv(f"GTM_{name}", raising=False)
    for name in ("COLUMNS", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GTM_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def points_to_server(clean_env: None, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for service in ("INGEST", "TRANSFORM", "SCORING"):
        monkeypatch.setenv(f"GTM_{service}_URL", server.url)


@pytest.fixture
def run_gtm(clean_env: None) -> Gtm:
    """Runs one command; where it goes is up to the other fixtures."""

    def run(*arguments: str) -> Ended:
        result = CliRunner().invoke(app, list(arguments), prog_name="gtm")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ended(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def gtm(run_gtm: Gtm, points_to_server: None) -> Gtm:
    """Runs one command against the test server."""
    return run_gtm


@pytest.fixture
def two_leads(behaviour: Behaviour) -> list[dict[str, Any]]:
    behaviour.leads = [_lead("hubspot:17", "Müller Transport GmbH", 78), _lead("salesforce:001x", "Acme", 41)]
    behaviour.leads[1]["tier"] = "C"
    return behaviour.leads


def _lead(account_id: str, name: str, score: int) -> dict[str, Any]:
    reasons = [
        {"factor": "contacts", "component": "engagement", "points": 2.5, "explanation": "one contact is engaged"},
        {"factor": "fleet_size", "component": "fit", "points": 18.0, "explanation": "a fleet of 400 vehicles"},
        {"factor": "recency", "component": "engagement", "points": -6.5, "explanation": "silent for 80 days"},
    ]
    return {
        "account_id": account_id,
        "account_name": name,
        "domain": "example.com",
        "lead_score": score,
        "baseline_score": score - 4,
        "fit_score": 40,
        "engagement_score": score - 44,
        "llm_score": 99,
        "tier": "A",
        "reasons": reasons,
        "claims": [],
        "pitch": "You run 400 vehicles; our routing saves fuel on every one of them.",
        "next_action": "call_now",
        "score_source": "llm",
        "pitch_source": "template",
        "scored_at": "2025-06-01T12:00:00Z",
    }
