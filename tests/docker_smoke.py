"""`make docker-smoke`: build the images, bring the compose file up, and drive a pipeline through the published ports.

A program and no pytest module: it needs a container engine and minutes. It brings its own secrets, ports, project name
and volumes, so it meets no running stack, and takes all but the images away again, also when it fails.
The model is the project's local one, served on this machine as an Ollama on the host would be.
"""

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import httpx
from standardwebhooks import Webhook

from tests.docker_stack import REPOSITORY, SERVICES, Stack, answers, find_gateway, free_port, wait_until

ACCOUNTS, VISITS, LEADS = 60, 1500, 5
PIPELINE = {
    "sync": {"source": "mock", "options": {"accounts": ACCOUNTS, "visits": VISITS}},
    "scoring": {"limit": LEADS},
}
_STOP_SECONDS = 40  # stop_grace_period of the workers
Result = TypeVar("Result")


@contextmanager
def model_server() -> Iterator[str]:
    """The local model on this machine; gives the URL under which containers see it."""
    host = find_gateway()
    port = free_port(host)
    command = [sys.executable, "-m", "local.model_server", "--host", host, "--port", str(port)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: answers(f"http://{host}:{port}/api/tags"), "the local model answers", 120)
            yield f"http://host.docker.internal:{port}"
        finally:
            process.terminate()


@contextmanager
def running(stack: Stack) -> Iterator[None]:
    """Up, then gone; when something fails, what the services said is printed first."""
    try:
        stack.run("up", "-d")
        wait_until(stack.is_healthy, "every container is healthy", 180)
        yield
    except (AssertionError, httpx.HTTPError, subprocess.CalledProcessError):
        stack.run("ps", check=False)
        stack.run("logs", "--no-color", "--tail=60", check=False)
        raise
    finally:
        stack.run("down", "--volumes", "--remove-orphans", "--timeout", "10", check=False)


def check_confinement(stack: Stack) -> None:
    """No root, no writable image, no capability, and no code but the container's own."""
    for name, item in stack.containers().items():
        host = item["HostConfig"]
        assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"], f"{name} is not confined"
        assert "no-new-privileges:true" in host["SecurityOpt"], f"{name} may gain privileges"
        if name != "migrate":  # it has run and gone
            assert stack.shell(name, "id -u").isdigit() and stack.shell(name, "id -u") != "0", f"{name} runs as root"
            assert stack.shell(name, "touch /etc/x 2>/dev/null || echo refused") == "refused", f"{name} writes its root"
    for service in SERVICES:
        assert stack.shell(f"{service}-api", "ls /app/services | grep -v __").split() == [service]
        foreign = "for tool in gcc make git pytest mypy black; do command -v $tool; done; find / -xdev -name '*.gguf'"
        assert stack.shell(f"{service}-api", foreign) == "", f"{service} holds what it does not need"


def check_doors(stack: Stack) -> None:
    """Readiness without a token, nothing else; and no published port but the three."""
    for service in SERVICES:
        assert answers(f"{stack.urls[service]}/readyz"), service
        assert httpx.get(f"{stack.urls[service]}/v1/jobs").status_code == 401, service
    published = {name for name, item in stack.containers().items() if item["HostConfig"]["PortBindings"]}
    assert published == {f"{service}-api" for service in SERVICES}, published


def run_pipeline(stack: Stack) -> dict[str, Any]:
    """The results of its three jobs, by kind."""
    job = stack.call("ingest", "POST", "/v1/pipelines", json=PIPELINE)
    finished = stack.finish(job["id"], 300)
    return {child["kind"]: child["result"] for child in finished["children"]}


def check_pipeline(stack: Stack) -> None:
    """Messy records become leads; a second run finds nothing to do."""
    first = run_pipeline(stack)
    assert first["sync"]["inserted"] >= ACCOUNTS + VISITS, first["sync"]
    assert first["scoring"]["scored"] == LEADS and first["scoring"]["llm_calls"] > 0, first["scoring"]
    leads = stack.call("scoring", "GET", "/v1/leads")["items"]
    assert len(leads) == LEADS and all(lead["reasons"] and lead["pitch"] for lead in leads), leads
    second = run_pipeline(stack)
    assert second["sync"]["changed"] == 0, second["sync"]
    assert second["scoring"]["llm_calls"] == 0 and second["scoring"]["unchanged"] == LEADS, second["scoring"]
    assert stack.call("scoring", "GET", "/v1/leads")["items"] == leads


def check_webhook(stack: Stack) -> None:
    """A signed event goes through the interactive worker."""
    account_id = stack.call("scoring", "GET", "/v1/leads")["items"][0]["account_id"]
    body = json.dumps({"type": "account.changed", "account_id": account_id})
    sent_at = datetime.now(UTC)
    headers = {
        "webhook-id": "msg_smoke",
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": Webhook(stack.webhook_secret).sign("msg_smoke", sent_at, body),
    }
    receipt = stack.call("scoring", "POST", "/v1/webhooks/generic", content=body, headers=headers)
    assert receipt["outcome"] == "accepted", receipt
    stack.finish(receipt["job_id"], 120)


def check_stop(stack: Stack) -> None:
    """Everyone leaves by itself when asked: exit code 137 would be a kill after the grace period."""
    started = time.monotonic()
    stack.run("stop")
    killed = [name for name, item in stack.containers().items() if item["State"]["ExitCode"] == 137]
    assert not killed, f"did not stop when asked: {killed}"
    assert time.monotonic() - started < 2 * _STOP_SECONDS


def main() -> None:
    """Prints a line and its seconds per step."""
    if subprocess.run(["docker", "info"], capture_output=True).returncode != 0:
        sys.exit("docker-smoke: no Docker engine answers. Start one (`docker info` shows it), then try again.")
    signal.signal(signal.SIGTERM, _interrupt)  # so that the containers go away then, too
    with ExitStack() as context:
        folder = Path(context.enter_context(tempfile.TemporaryDirectory(prefix="gtm-smoke-")))
        stack = Stack(_timed("local model", lambda: context.enter_context(model_server())), folder)
        _timed("build", lambda: stack.run("build"))
        _timed("up and healthy", lambda: context.enter_context(running(stack)))
        for check in (check_confinement, check_doors, check_pipeline, check_webhook, check_stop):
            _timed(check.__name__.replace("_", " "), lambda: check(stack))
    print("docker-smoke: passed", flush=True)


def _timed(step: str, work: Callable[[], Result]) -> Result:
    started = time.monotonic()
    result = work()
    print(f"docker-smoke: {step}: {time.monotonic() - started:.1f} s", flush=True)
    return result


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
