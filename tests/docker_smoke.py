"""`make docker-smoke`: build the images, bring the compose file up, and drive a pipeline through the published ports.

A program and no pytest module: it needs a container engine and minutes. It brings its own secrets, ports, project name
and volumes, so it meets no running stack, and takes all but the images away again, also when it fails.
The model is the project's local one, served on this machine as an Ollama on the host would be.
"""

import json
import time
from datetime import UTC, datetime
from typing import Any

import httpx
from standardwebhooks import Webhook

from tests.docker_stack import SERVICES, Stack, answers, throw_away_stack, timed

ACCOUNTS, VISITS, LEADS = 60, 1500, 5
PIPELINE = {
    "sync": {"source": "mock", "options": {"accounts": ACCOUNTS, "visits": VISITS}},
    "scoring": {"limit": LEADS},
}
_STOP_SECONDS = 40  # stop_grace_period of the workers


def check_confinement(stack: Stack) -> None:
    """No root, no writable image, no capability, and no code but the container's own."""
    for name, item in stack.containers().items():
        host = item["HostConfig"]
        assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"], f"{name} is not confined"
        assert "no-new-privileges:true" in host["SecurityOpt"], f"{name} may gain privileges"
        assert host["PidsLimit"] > 0 and host["Memory"] > 0, f"{name} may take all of this machine"
        if name != "migrate":  # it has run and gone
            assert "noexec" in stack.shell(name, "grep ' /tmp ' /proc/mounts"), f"{name}: programs may run in /tmp"
            assert stack.shell(name, "id -u").isdigit() and stack.shell(name, "id -u") != "0", f"{name} runs as root"
            assert stack.shell(name, "touch /etc/x 2>/dev/null || echo refused") == "refused", f"{name} writes its root"
    for service in SERVICES:
        assert stack.shell(f"{service}-api", "ls /app/services | grep -v __").split() == [service]
        foreign = "for tool in gcc make git pytest mypy black; do command -v $tool; done; find / -xdev -name '*.gguf'"
        assert stack.shell(f"{service}-api", foreign) == "", f"{service} holds what it does not need"


def check_secrets(stack: Stack) -> None:
    """Each container has its own secrets and no other, as files: none is in what `docker inspect` shows."""
    values = {path.name: path.read_text() for path in stack.secrets.iterdir()}
    shown = json.dumps(list(stack.containers().values()))
    told = [name for name, value in values.items() if value in shown]
    assert not told, f"docker inspect shows {told}"
    owners = [
        name for name in stack.containers() if name != "migrate" and "owner" in stack.shell(name, "ls /run/secrets")
    ]
    assert not owners, f"the database's owner can be had from {owners}"
    for name in (f"{service}-api" for service in SERVICES):
        assert values["redis_worker_password"] not in stack.shell(name, "cat /run/secrets/*"), name


def check_stores(stack: Stack) -> None:
    """What a broken-into API could do with what it knows: no tables to drop, no rows of the log to rewrite, no queue to
    empty."""
    tried = {
        "drop": "drop table jobs",
        "rewrite": "update audit_log set actor = 'nobody'",
        "forget": "delete from audit_log",
        "switch off": "alter table audit_log disable trigger all",
        "make a key": "insert into api_keys (key_id) values ('a')",
    }
    for title, statement in tried.items():
        said = stack.shell("ingest-api", f'python -c "{_ASK_DATABASE}" "{statement}" 2>&1')
        assert "InsufficientPrivilege" in said, f"{title}: {said}"
    for command in ("FLUSHALL", "CONFIG GET dir", "KEYS x", "SHUTDOWN", "RPOP ingest", "DEL ingest", "ACL LIST"):
        said = stack.shell("redis", f"{_ASK_REDIS} --user producer {command}")
        assert "NOPERM" in said, f"{command}: {said}"
    assert "NOAUTH" in stack.shell("redis", "redis-cli ping"), "Redis answers strangers"


_ASK_DATABASE = (
    "import sys, sqlalchemy; "
    "engine = sqlalchemy.create_engine(open('/run/secrets/operations_url').read()); "
    "connection = engine.connect(); "
    "connection.exec_driver_sql(sys.argv[1])"
)
_ASK_REDIS = 'REDISCLI_AUTH="$(cat /run/secrets/redis_producer_password)" redis-cli'


def check_doors(stack: Stack) -> None:
    """Readiness and what problems mean without a key, nothing else; and no published port but the three."""
    for service in SERVICES:
        assert answers(f"{stack.urls[service]}/readyz"), service
        refused = httpx.get(f"{stack.urls[service]}/v1/jobs")
        assert refused.status_code == 401, service
        assert "API key" in httpx.get(stack.urls[service] + refused.json()["type"]).text, f"{service}: {refused.text}"
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
    with throw_away_stack("docker-smoke") as stack:
        for check in (check_confinement, check_secrets, check_doors, check_stores, check_pipeline, check_webhook):
            timed("docker-smoke", check.__name__.replace("_", " "), lambda: check(stack))
        timed("docker-smoke", "check stop", lambda: check_stop(stack))
    print("docker-smoke: passed", flush=True)


if __name__ == "__main__":
    main()
