"""The overlays of deploy/ as a cluster would get them: rendered by kustomize itself, never by code of ours."""

import shutil
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parent.parent.parent
OVERLAYS = REPOSITORY / "deploy" / "overlays"
SHIPPED = tuple(sorted(path.parent for path in OVERLAYS.glob("*/kustomization.yaml")))

Manifest = dict[str, Any]
NO_RENDERER = "neither kubectl nor kustomize is on the PATH: deploy/ can't be rendered here"


@lru_cache
def find_renderer() -> tuple[str, ...] | None:
    """The command that renders a folder, or None."""
    if shutil.which("kustomize"):
        return ("kustomize", "build")
    return ("kubectl", "kustomize") if shutil.which("kubectl") else None


@lru_cache
def render(folder: Path) -> tuple[Manifest, ...]:
    """Every object of an overlay. Callers copy what they change.

    Raises:
        RuntimeError: no renderer, or one that refuses the folder, with its own words.
    """
    renderer = find_renderer()
    if renderer is None:
        raise RuntimeError(NO_RENDERER)
    # Refused if it would need the network: an overlay names folders of this repository.
    done = subprocess.run([*renderer, str(folder)], capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise RuntimeError(f"{' '.join(renderer)} {folder}: {done.stderr.strip()}")
    return tuple(one for one in yaml.safe_load_all(done.stdout) if one)


def named(manifests: tuple[Manifest, ...], kind: str, name: str) -> Manifest:
    """The one object of this kind and name."""
    (found,) = [one for one in manifests if one["kind"] == kind and one["metadata"]["name"] == name]
    return found


def label(manifest: Manifest, name: str) -> str | None:
    """A label of app.kubernetes.io."""
    value = manifest["metadata"].get("labels", {}).get(f"app.kubernetes.io/{name}")
    return None if value is None else str(value)


def pod_of(manifest: Manifest) -> Manifest | None:
    """The pod's spec of what runs pods."""
    is_workload = manifest["kind"] in ("Deployment", "StatefulSet", "Job", "DaemonSet")
    return manifest["spec"]["template"]["spec"] if is_workload else None


def is_product(manifest: Manifest) -> bool:
    """Runs an image of ours, not a store or a model server that came along."""
    return pod_of(manifest) is not None and label(manifest, "part-of") == "fleet-gtm"


def config_maps(manifests: tuple[Manifest, ...]) -> dict[str, dict[str, str]]:
    """Name -> data."""
    return {one["metadata"]["name"]: one.get("data", {}) for one in manifests if one["kind"] == "ConfigMap"}


def environment_of(manifests: tuple[Manifest, ...], container: Manifest) -> dict[str, str | None]:
    """What the container gets: ConfigMaps first, then `env`. None for what comes from a Secret, or from nowhere."""
    maps = config_maps(manifests)
    found: dict[str, str | None] = {}
    for source in container.get("envFrom", []):
        found |= maps.get(source["configMapRef"]["name"], {})
    for variable in container.get("env", []):
        key = variable.get("valueFrom", {}).get("configMapKeyRef")
        found[variable["name"]] = maps.get(key["name"], {}).get(key["key"]) if key else variable.get("value")
    return found
