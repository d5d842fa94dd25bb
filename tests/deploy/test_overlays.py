"""The shipped overlays, as kustomize renders them, against the code, the images and docker-compose.yml."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.contracts import TASKS
from tests.deploy.rendering import (
    NO_RENDERER,
    OVERLAYS,
    REPOSITORY,
    SHIPPED,
    Manifest,
    environment_of,
    find_renderer,
    is_product,
    label,
    named,
    pod_of,
    render,
)
from tests.deploy.rules import find_rule_faults

pytestmark = pytest.mark.skipif(find_renderer() is None, reason=NO_RENDERER)

COMPOSE: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()
APIS = ("ingest-api", "transform-api", "scoring-api")
WORKERS = ("ingest-worker", "transform-worker", "scoring-batch-worker", "scoring-interactive-worker")
ROLES = (*APIS, *WORKERS, "sweeper")
EXAMPLE = OVERLAYS / "example"


def _container(role: str) -> dict[str, Any]:
    kind = "Job" if role == "migrate" else "Deployment"
    pod = pod_of(named(render(EXAMPLE), kind, role))
    assert pod is not None
    (container,) = pod["containers"]
    return dict(container)


@pytest.mark.parametrize("overlay", SHIPPED, ids=lambda folder: folder.name)
def test_an_overlay_keeps_to_the_rules(overlay: Path) -> None:
    """The schemas of Kubernetes take seconds to read: `make deploy-check` holds the overlays to them."""
    assert find_rule_faults(render(overlay)) == []


def test_every_component_is_used_by_an_overlay() -> None:
    used = {
        Path(path).name
        for overlay in SHIPPED
        for path in yaml.safe_load((overlay / "kustomization.yaml").read_text()).get("components", [])
    }
    assert used == {path.name for path in (REPOSITORY / "deploy" / "components").iterdir()}


def test_compose_and_manifests_run_the_same_roles() -> None:
    deployed = {one["metadata"]["name"] for one in render(EXAMPLE) if is_product(one)}
    assert deployed == set(COMPOSE) - {"redis", "postgres", "ollama"}


@pytest.mark.parametrize("role", [*ROLES, "migrate"])
def test_a_role_has_the_image_and_the_command_that_compose_gives_it(role: str) -> None:
    container = _container(role)
    assert container.get("args") == COMPOSE[role].get("command")  # none: the image's own
    assert "command" not in container  # the images have no entry point that it would replace
    stage = container["image"].rpartition("/")[2].partition(":")[0].removeprefix("fleet-gtm-")
    assert COMPOSE[role]["image"].startswith(f"fleet-gtm-{stage}:")
    assert re.search(rf"^FROM runtime AS {stage}$", DOCKERFILE, re.MULTILINE) and "ENTRYPOINT" not in DOCKERFILE


@pytest.mark.parametrize("role", [*ROLES, "migrate"])
def test_a_role_gets_every_variable_that_compose_fixes(role: str) -> None:
    """Settings without a value in compose are passed on where they are set: here the ConfigMaps take them. What is a
    file of compose's secrets is a variable out of a Secret."""
    given = environment_of(render(EXAMPLE), _container(role))
    fixed = {name: value for name, value in COMPOSE[role]["environment"].items() if value is not None}
    secrets = {name for name, value in fixed.items() if str(value).startswith("/run/secrets/")}
    assert all(given[name.removesuffix("_FILE")] is None for name in secrets)
    fixed = {name: value for name, value in fixed.items() if name not in secrets}
    assert set(fixed) - set(given) == set()
    plain = {name: str(value) for name, value in fixed.items() if "${" not in str(value)}
    assert {name: given[name] for name in plain} == plain


@pytest.mark.parametrize("role", [*ROLES, "migrate"])
def test_a_role_logs_in_to_the_stores_as_compose_lets_it(role: str) -> None:
    keys = {
        one["name"]: one["valueFrom"]["secretKeyRef"]["key"] for one in _container(role)["env"] if "valueFrom" in one
    }
    sources = [one if isinstance(one, str) else one["source"] for one in COMPOSE[role]["secrets"]]
    assert ("redis_worker_url" in sources) == (role in WORKERS) == (keys["REDIS_URL"] == "REDIS_URL")
    assert ("operations_owner_url" in sources) == (keys["GTM_OPERATIONS_URL"] == "GTM_OPERATIONS_OWNER_URL")
    assert (keys["GTM_OPERATIONS_URL"] == "GTM_OPERATIONS_OWNER_URL") == (role == "migrate")


@pytest.mark.parametrize("role", APIS)
def test_an_api_is_asked_for_what_it_answers(role: str) -> None:
    container = _container(role)
    routes = importlib.import_module(f"services.{role.removesuffix('-api')}.api").app.openapi()["paths"]
    (port,) = container["ports"]
    assert port["containerPort"] == int(re.findall(r"^EXPOSE (\d+)$", DOCKERFILE, re.MULTILINE)[0])
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["path"] in routes
        assert container[probe]["httpGet"]["port"] == port["name"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    service = named(render(EXAMPLE), "Service", role)
    assert service["spec"]["ports"] == [{"name": "http", "port": 8000, "targetPort": port["name"]}]


@pytest.mark.parametrize("role", [*WORKERS, "sweeper"])
def test_a_worker_is_healthy_by_the_images_own_check(role: str) -> None:
    container = _container(role)
    (check,) = re.findall(r"^HEALTHCHECK .* CMD (\[.*healthcheck\.py\"\])$", DOCKERFILE, re.MULTILINE)
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["exec"]["command"] == yaml.safe_load(check)
    liveness = container["livenessProbe"]  # an outage of Redis is no fault of a worker's
    assert liveness["periodSeconds"] * liveness["failureThreshold"] >= 300


def test_the_workers_serve_every_queue_and_each_is_scaled_by_its_own() -> None:
    queues = {role: (arguments := _container(role)["args"])[arguments.index("-Q") + 1] for role in WORKERS}
    assert set(queues.values()) == {queue for _, queue in TASKS.values()}
    for role, queue in queues.items():
        (trigger,) = named(render(EXAMPLE), "ScaledObject", role)["spec"]["triggers"]
        assert f"queue = '{queue}'" in trigger["metadata"]["query"]


def test_one_build_runs_at_a_time_so_one_pod_builds() -> None:
    assert named(render(EXAMPLE), "ScaledObject", "transform-worker")["spec"]["maxReplicaCount"] == 1


@pytest.mark.parametrize("role", ROLES)
def test_nobody_starts_before_the_schema_is_there(role: str) -> None:
    pod = pod_of(named(render(EXAMPLE), "Deployment", role))
    assert pod is not None
    (first,) = pod["initContainers"]
    assert first["args"] == ["python", "-m", "shared.operations.preflight"]
    assert first["image"] == pod["containers"][0]["image"]
    assert importlib.import_module(first["args"][-1])


@pytest.mark.parametrize("role", ROLES)
def test_a_role_gets_the_secrets_that_it_needs_and_no_other(role: str) -> None:
    pod = pod_of(named(render(EXAMPLE), "Deployment", role))
    assert pod is not None
    wanted = {"fleet-gtm-stores"}
    wanted |= {"fleet-gtm-crm"} if role.startswith("ingest") else set()
    wanted |= {"fleet-gtm-model"} if role.startswith("scoring") else set()
    wanted |= {"fleet-gtm-webhooks"} if role == "scoring-api" else set()
    snowflake = {"ingest-worker": "loader", "transform-api": "transformer", "transform-worker": "transformer"}
    snowflake |= {"scoring-api": "reader"} | dict.fromkeys(WORKERS[2:], "scorer")
    wanted |= {f"fleet-gtm-snowflake-{snowflake[role]}"} if role in snowflake else set()
    assert set(re.findall(r"'(?:secretName|name)': '(fleet-gtm-[a-z-]+)'", str(_secrets_in(pod)))) == wanted


def _secrets_in(pod: Manifest) -> list[Any]:
    references = [
        one["valueFrom"]["secretKeyRef"] for one in _variables(pod) if "secretKeyRef" in one.get("valueFrom", {})
    ]
    return references + [volume["secret"] for volume in pod["volumes"] if "secret" in volume]


def _variables(pod: Manifest) -> list[dict[str, Any]]:
    return [one for container in [*pod["initContainers"], *pod["containers"]] for one in container.get("env", [])]


def test_the_guide_says_how_every_secret_is_made() -> None:
    guide = (REPOSITORY / "docs" / "kubernetes.md").read_text()
    rendered = [one for overlay in SHIPPED for one in render(overlay)]
    pods = [pod for one in rendered if (pod := pod_of(one)) is not None]
    keys = {
        (ref["name"], ref["key"])
        for pod in pods
        for container in [*pod.get("initContainers", []), *pod["containers"]]
        for variable in container.get("env", [])
        if (ref := variable.get("valueFrom", {}).get("secretKeyRef"))
    }
    keys |= {
        (ref["name"], ref["key"])
        for one in rendered
        if one["kind"] == "TriggerAuthentication"
        for ref in one["spec"]["secretTargetRef"]
    }
    told = {
        (name, key)
        for name, listed in re.findall(r"^\| `(fleet-gtm-[\w<>-]+)` \| (.+?) \|", guide, re.MULTILINE)
        for key in re.findall(r"`([\w.]+)`", listed)
    }
    told |= {
        (name.replace("<role>", role), key)
        for name, key in told
        if "<role>" in name
        for role in ("loader", "transformer", "scorer", "reader")
    }
    assert sorted(keys - told) == []


def test_snowflakes_users_and_roles_are_those_of_the_shipped_script() -> None:
    script = (REPOSITORY / "config" / "snowflake" / "roles.sql").read_text()
    script += (REPOSITORY / "docs" / "kubernetes.md").read_text()  # the user of the API that only reads
    roles = set(re.findall(r"create role if not exists (\w+)", script))
    grants = set(re.findall(r"grant role (\w+) to user (\w+);", script))
    logins = [environment_of(render(EXAMPLE), _container(role)) for role in (*WORKERS, "transform-api", "scoring-api")]
    pairs = {(str(one["SNOWFLAKE_ROLE"]).lower(), str(one["SNOWFLAKE_USER"]).lower()) for one in logins}
    assert pairs <= grants and {role for role, _ in pairs} <= roles and len(pairs) == 4


def test_snowflakes_warehouses_are_those_of_the_shipped_script() -> None:
    script = (REPOSITORY / "config" / "snowflake" / "roles.sql").read_text().lower()
    assert set(re.findall(r"create warehouse if not exists (\w+)", script)) == {"gtm_wh", "gtm_large_wh"}
    logins = [environment_of(render(EXAMPLE), _container(role)) for role in (*WORKERS, "transform-api", "scoring-api")]
    named = ("SNOWFLAKE_WAREHOUSE", "GTM_DBT_WAREHOUSE_LARGE")
    asked = {
        (str(one["SNOWFLAKE_ROLE"]).lower(), str(one[name]).lower())
        for one in logins
        for name in named
        if one.get(name)
    }
    assert ("gtm_transformer", "gtm_large_wh") in asked
    assert [pair for pair in asked if f"grant usage on warehouse {pair[1]} to role {pair[0]};" not in script] == []


def test_the_model_servers_are_told_what_the_product_is_told() -> None:
    trial = render(OVERLAYS / "trial")
    (worker,) = [one for one in trial if label(one, "name") == "scoring-batch-worker" and one["kind"] == "Deployment"]
    pod, server = pod_of(worker), pod_of(named(trial, "StatefulSet", "ollama"))
    assert pod is not None and server is not None
    asked, told = (environment_of(trial, one["containers"][0]) for one in (pod, server))
    assert asked["OLLAMA_NUM_PARALLEL"] == told["OLLAMA_NUM_PARALLEL"]
    hosts = (asked["OLLAMA_HOST"] or "").split(",")
    assert hosts == [f"http://ollama-{number}.ollama:11434" for number in range(2)]
    vllm = pod_of(named(render(EXAMPLE), "StatefulSet", "vllm"))
    assert vllm is not None
    arguments = vllm["containers"][0]["args"]
    example = environment_of(render(EXAMPLE), _container("scoring-batch-worker"))
    assert arguments[arguments.index("--served-model-name") + 1] == example["OLLAMA_MODEL"]
    assert int(arguments[arguments.index("--max-model-len") + 1]) >= 4096 and example["GTM_MODEL_API"] == "openai"


def test_the_sizing_page_says_what_the_manifests_ask_for() -> None:
    page = (REPOSITORY / "docs" / "sizing.md").read_text()
    told = dict(re.findall(r"^\| `([a-z-]+)` \|.*\| (\S+ / \S+) \|$", page, re.MULTILINE))
    memory = {role: _container(role)["resources"] for role in ROLES}
    asked = {role: f"{one['requests']['memory']} / {one['limits']['memory']}" for role, one in memory.items()}
    assert told == asked
