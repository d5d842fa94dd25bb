"""Each rule and schema refuses what it is there for: the example overlay, broken in one place."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.deploy.rendering import NO_RENDERER, OVERLAYS, Manifest, find_renderer, named, render
from tests.deploy.rules import find_rule_faults
from tests.deploy.schemas import VERSIONS, find_schema_faults

pytestmark = pytest.mark.skipif(find_renderer() is None, reason=NO_RENDERER)
Manifests = tuple[Manifest, ...]


@pytest.fixture
def example() -> Manifests:
    return copy.deepcopy(render(OVERLAYS / "example"))


def _pod(manifests: Manifests, name: str = "ingest-worker") -> dict[str, Any]:
    return dict(named(manifests, "Deployment", name)["spec"]["template"]["spec"])


def _container(manifests: Manifests, name: str = "ingest-worker") -> dict[str, Any]:
    return dict(_pod(manifests, name)["containers"][0])


def _settings(manifests: Manifests, part: str) -> dict[str, str]:
    (found,) = [
        one
        for one in manifests
        if one["kind"] == "ConfigMap" and one["metadata"]["name"].startswith(f"fleet-gtm-{part}-")
    ]
    data: dict[str, str] = found["data"]
    return data


def _variable(manifests: Manifests, name: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = [one for one in _container(manifests)["env"] if one["name"] == name]
    return found[0]


def _scaled(manifests: Manifests) -> dict[str, Any]:
    spec: dict[str, Any] = named(manifests, "ScaledObject", "ingest-worker")["spec"]
    return spec


BREAKS: dict[str, tuple[Callable[[Manifests], Any], str]] = {
    "root": (lambda all_: _pod(all_)["securityContext"].update(runAsUser=0), "runs as root"),
    "seccomp": (lambda all_: _pod(all_)["securityContext"].pop("seccompProfile"), "no seccomp profile"),
    "writable": (
        lambda all_: _container(all_)["securityContext"].update(readOnlyRootFilesystem=False),
        "root file system is writable",
    ),
    "capabilities": (
        lambda all_: _container(all_)["securityContext"].update(capabilities={"drop": ["ALL"], "add": ["NET_RAW"]}),
        "keeps capabilities",
    ),
    "privilege": (
        lambda all_: _container(all_)["securityContext"].update(allowPrivilegeEscalation=True),
        "may gain privileges",
    ),
    "no-limit": (lambda all_: _container(all_)["resources"].pop("limits"), "a limit of memory"),
    "latest": (
        lambda all_: named(all_, "Deployment", "sweeper")["spec"]["template"]["spec"]["containers"][0].update(
            image="registry.example.com:5000/fleet-gtm-ingest:latest"
        ),
        "is not pinned",
    ),
    "untagged-with-a-port": (
        lambda all_: named(all_, "Deployment", "sweeper")["spec"]["template"]["spec"]["containers"][0].update(
            image="registry.example.com:5000/fleet-gtm-ingest"
        ),
        "is not pinned",
    ),
    "no-such-target": (lambda all_: _scaled(all_)["scaleTargetRef"].update(name="ingest"), "there is no ingest"),
    "service-without-pods": (
        lambda all_: named(all_, "Service", "ingest-api")["spec"].update(selector={"app": "ingest-api"}),
        "selects no pod",
    ),
    "open-pod": (
        lambda all_: named(all_, "NetworkPolicy", "nothing-else")["spec"].update(policyTypes=["Ingress"]),
        "no NetworkPolicy closes it",
    ),
    "fixed-replicas": (
        lambda all_: named(all_, "Deployment", "ingest-worker")["spec"].update(replicas=2),
        "is scaled by ScaledObject/ingest-worker",
    ),
    "most-below-least": (lambda all_: _scaled(all_).update(maxReplicaCount=0), "at least 1 and at most 0"),
    "too-many-writers": (
        lambda all_: named(all_, "ScaledObject", "scoring-batch-worker")["spec"].update(maxReplicaCount=15),
        "21 pods write the same tables",
    ),
    "short-grace": (
        lambda all_: _settings(all_, "settings").update(GTM_SOFT_SHUTDOWN_SECONDS="40"),
        "terminationGracePeriodSeconds >= 50",
    ),
    "waits-for-the-end": (
        lambda all_: _variable(all_, "REMAP_SIGTERM").update(value=""),
        "waits for its job's end",
    ),
    "unknown-host": (
        lambda all_: _settings(all_, "scoring").update(OLLAMA_HOST="http://vllm-0.vllm:8000,http://vllm-1.vllm:8000"),
        "names vllm-1.vllm, and no StatefulSet",
    ),
    "unknown-setting": (lambda all_: _settings(all_, "ingest").update(GTM_HUBSPOT_RATE="5"), "GTM_HUBSPOT_RATE is no"),
    "wrong-value": (
        lambda all_: _settings(all_, "transform").update(GTM_DBT_THREADS="many"),
        "GTM_DBT_THREADS=many",
    ),
    "secret-as-value": (
        lambda all_: _settings(all_, "ingest").update(GTM_MODEL_API_KEY="hunter2"),
        "GTM_MODEL_API_KEY is a secret",
    ),
    "duckdb": (lambda all_: _variable(all_, "GTM_WAREHOUSE").update(value="duckdb"), "DuckDB is a file of one machine"),
    "no-warehouse": (lambda all_: _settings(all_, "settings").pop("SNOWFLAKE_WAREHOUSE"), "needs SNOWFLAKE_WAREHOUSE"),
    "stand-in": (
        lambda all_: _settings(all_, "settings").update(GTM_SNOWFLAKE_HOST="127.0.0.1"),
        "GTM_SNOWFLAKE_HOST",
    ),
    "no-config-map": (
        lambda all_: _container(all_)["envFrom"].append({"configMapRef": {"name": "fleet-gtm-more"}}),
        "ConfigMap fleet-gtm-more isn't there",
    ),
    "other-image": (
        lambda all_: _container(all_).update(image="example.com/fleet:1")
        or _replace_image(all_, "example.com/fleet:1"),
        "ends in none of fleet-gtm-",
    ),
}


def _replace_image(manifests: Manifests, image: str) -> None:
    named(manifests, "Deployment", "ingest-worker")["spec"]["template"]["spec"]["containers"][0]["image"] = image


@pytest.mark.parametrize("name", sorted(BREAKS))
def test_a_rule_refuses(name: str, example: Manifests) -> None:
    break_it, fault = BREAKS[name]
    break_it(example)
    assert any(fault in found for found in find_rule_faults(example)), find_rule_faults(example)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("kind", "name", "field", "value"),
    [
        ("Deployment", "sweeper", "replica", 1),
        ("Deployment", "sweeper", "replicas", "one"),
        ("ScaledObject", "ingest-worker", "minReplicas", 1),
        ("ScaledObject", "ingest-worker", "maxReplicaCount", "4"),
        ("TriggerAuthentication", "queue-demand", "secretTargetRef", []),
        ("NetworkPolicy", "callers", "policyTypes", "Ingress"),
    ],
)
def test_a_schema_refuses(kind: str, name: str, field: str, value: object, version: str, example: Manifests) -> None:
    broken = named(example, kind, name)
    assert find_schema_faults(broken, version) == []
    broken["spec"][field] = value
    assert find_schema_faults(broken, version) != []


def test_a_schema_knows_which_versions_have_a_kind(example: Manifests) -> None:
    old = {
        "apiVersion": "autoscaling/v2beta2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "a"},
        "spec": {},
    }
    assert "has no HorizontalPodAutoscaler" in find_schema_faults(old, VERSIONS[1])[0]
