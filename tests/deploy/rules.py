"""What Kubernetes' schemas can't say: pods are confined, nothing is unpinned, everything that is named exists.

Each rule takes the rendered objects of one overlay, anybody's, and gives one line per fault. Those of settings are in
settings_rules.py.
"""

import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from shared.settings import QueueSettings
from tests.deploy.rendering import Manifest, config_maps, environment_of, is_product, label, pod_of
from tests.deploy.settings_rules import find_settings_faults

Manifests = tuple[Manifest, ...]
_MOST_WRITERS: Final = 20
_HAND_OVER_SECONDS: Final = 10  # between the end of the soft shutdown and the kill


def find_rule_faults(manifests: Manifests) -> list[str]:
    """Every rule, in a fixed order."""
    rules = (_unconfined, _unpinned, _dangling, _open_to_the_network, _unscaled, _killed_too_soon, _unknown_hosts)
    rules += (_too_many_writers,)
    return [fault for rule in rules for fault in rule(manifests)] + find_settings_faults(manifests)


def _pods(manifests: Manifests) -> Iterator[tuple[str, Manifest, dict[str, Any]]]:
    for one in manifests:
        pod = pod_of(one)
        if pod is not None:
            yield f"{one['kind']}/{one['metadata']['name']}", one, pod


def _containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", []), *pod["containers"]]


def _unconfined(manifests: Manifests) -> Iterator[str]:
    """The `restricted` pod security standard, and a root file system that nobody writes."""
    for title, _, pod in _pods(manifests):
        security = pod.get("securityContext", {})
        if security.get("runAsNonRoot") is not True or not security.get("runAsUser"):
            yield f"{title}: runs as root, or may"
        if security.get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{title}: no seccomp profile"
        if pod.get("automountServiceAccountToken") is not False:
            yield f"{title}: a Kubernetes token is mounted"
        if pod.get("enableServiceLinks") is not False:
            yield f"{title}: variables of neighbouring Services get into its environment"
        for container in _containers(pod):
            name, confined = f"{title} {container['name']}", container.get("securityContext", {})
            if confined.get("allowPrivilegeEscalation") is not False or confined.get("privileged"):
                yield f"{name}: may gain privileges"
            if confined.get("readOnlyRootFilesystem") is not True:
                yield f"{name}: its root file system is writable"
            if confined.get("capabilities") != {"drop": ["ALL"]}:
                yield f"{name}: keeps capabilities"
            requests, limits = (container.get("resources", {}).get(key, {}) for key in ("requests", "limits"))
            if not {"cpu", "memory"} <= requests.keys() or "memory" not in limits:
                yield f"{name}: needs requests of cpu and memory, and a limit of memory"


def _unpinned(manifests: Manifests) -> Iterator[str]:
    for title, _, pod in _pods(manifests):
        for container in _containers(pod):
            image = container["image"]
            tag = image.rpartition("/")[2].partition(":")[2]
            if "@sha256:" not in image and tag in ("", "latest", "local"):
                yield f"{title} {container['name']}: {image} is not pinned; name a tag or digest in `images`"


def _dangling(manifests: Manifests) -> Iterator[str]:
    """What selects, scales or guards a workload that isn't there."""
    workloads = {one["metadata"]["name"] for _, one, _ in _pods(manifests)}
    labels = [one["spec"]["template"]["metadata"].get("labels", {}) for _, one, _ in _pods(manifests)]
    for one in manifests:
        title, spec = f"{one['kind']}/{one['metadata']['name']}", one.get("spec", {})
        target = spec.get("scaleTargetRef", {}).get("name")
        if target is not None and target not in workloads:
            yield f"{title}: there is no {target}"
        selector = spec.get("selector") if one["kind"] == "Service" else None
        if one["kind"] == "PodDisruptionBudget":
            selector = spec["selector"]["matchLabels"]
        if selector and not any(selector.items() <= pod.items() for pod in labels):
            yield f"{title}: selects no pod"
    maps = config_maps(manifests)
    for title, _, pod in _pods(manifests):
        for name in sorted(set(_map_names(pod)) - set(maps)):
            yield f"{title}: ConfigMap {name} isn't there"


def _map_names(pod: dict[str, Any]) -> Iterator[str]:
    for container in _containers(pod):
        yield from (one["configMapRef"]["name"] for one in container.get("envFrom", []))
        keys = (one.get("valueFrom", {}).get("configMapKeyRef") for one in container.get("env", []))
        yield from (key["name"] for key in keys if key)


def _open_to_the_network(manifests: Manifests) -> Iterator[str]:
    """Each pod is selected by a policy of both directions; what no policy selects may go anywhere."""
    closed = [
        one["spec"]["podSelector"].get("matchLabels", {})
        for one in manifests
        if one["kind"] == "NetworkPolicy" and set(one["spec"].get("policyTypes", [])) == {"Ingress", "Egress"}
    ]
    for title, one, _ in _pods(manifests):
        labels = one["spec"]["template"]["metadata"].get("labels", {})
        if not any(selector.items() <= labels.items() for selector in closed):
            yield f"{title}: no NetworkPolicy closes it"


def _unscaled(manifests: Manifests) -> Iterator[str]:
    """A replica count in the manifest would be put back by each `apply`, against what scales."""
    for one in manifests:
        if one["kind"] not in ("HorizontalPodAutoscaler", "ScaledObject"):
            continue
        title, spec = f"{one['kind']}/{one['metadata']['name']}", one["spec"]
        least, most = spec.get("minReplicas", spec.get("minReplicaCount", 0)), spec.get("maxReplicas")
        most = spec.get("maxReplicaCount") if most is None else most
        if most is None or least > most:
            yield f"{title}: at least {least} and at most {most} pods"
        for target in manifests:
            is_target = target["kind"] == "Deployment" and target["metadata"]["name"] == spec["scaleTargetRef"]["name"]
            if is_target and "replicas" in target["spec"]:
                yield f"Deployment/{target['metadata']['name']}: has `replicas`, and is scaled by {title}"


def _too_many_writers(manifests: Manifests) -> Iterator[str]:
    """All workers of scoring write the same tables, one after the other; Snowflake refuses the 21st that would wait for
    a lock (000625), however long LOCK_TIMEOUT is."""
    scaled = {
        one["spec"]["scaleTargetRef"]["name"]: one["spec"].get("maxReplicaCount", _MOST_WRITERS)
        for one in manifests
        if one["kind"] == "ScaledObject"
    }
    workers = [
        one for _, one, _ in _pods(manifests) if is_product(one) and str(label(one, "name")).startswith("scoring-")
    ]
    names = [(one["metadata"]["name"], one["spec"]) for one in workers if label(one, "component") == "worker"]
    most = sum(scaled.get(name, spec.get("replicas", 1)) for name, spec in names)
    if most > _MOST_WRITERS:
        yield f"{', '.join(name for name, _ in names)}: {most} pods write the same tables; at most {_MOST_WRITERS}"


def _killed_too_soon(manifests: Manifests) -> Iterator[str]:
    default = QueueSettings.model_fields["soft_shutdown_seconds"].default
    for title, one, pod in _pods(manifests):
        if not (is_product(one) and label(one, "component") == "worker"):
            continue
        for container in pod["containers"]:
            environment = environment_of(manifests, container)
            needed = int(environment.get("GTM_SOFT_SHUTDOWN_SECONDS") or default) + _HAND_OVER_SECONDS
            if pod.get("terminationGracePeriodSeconds", 30) < needed:
                yield f"{title}: killed before it can hand its job back; terminationGracePeriodSeconds >= {needed}"
            if environment.get("REMAP_SIGTERM") != "SIGQUIT":
                yield f"{title}: waits for its job's end when it is stopped; REMAP_SIGTERM=SIGQUIT"


def _unknown_hosts(manifests: Manifests) -> Iterator[str]:
    """Of OLLAMA_HOST's names, those in this namespace: `pod-0.service` of a StatefulSet that comes along."""
    sets = {
        one["metadata"]["name"]: one["spec"].get("replicas", 1) for one in manifests if one["kind"] == "StatefulSet"
    }
    told: set[str] = set()
    for title, one, pod in _pods(manifests):
        if not (is_product(one) and label(one, "component") == "worker"):
            continue
        for container in pod["containers"]:
            told |= {
                f"{title} {url}" for url in (environment_of(manifests, container).get("OLLAMA_HOST") or "").split(",")
            }
    for entry in sorted(told):
        title, _, url = entry.partition(" ")
        host = urlsplit(url.strip()).hostname or ""
        pod_name = re.fullmatch(r"([a-z0-9-]+)-(\d+)\.([a-z0-9-]+)", host)
        if pod_name and int(pod_name[2]) >= sets.get(pod_name[1], 0):
            yield f"{title}: OLLAMA_HOST names {host}, and no StatefulSet {pod_name[1]} has that pod"
