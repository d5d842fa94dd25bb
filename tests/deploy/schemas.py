"""Manifests against Kubernetes' own schemas (package kubernetes-validate), and KEDA's against what we use of them.

KEDA's definitions are no package. The part below is written after its CRDs (keda.sh/v1alpha1) and its PostgreSQL
scaler, narrower than they are: what it doesn't know is refused, so that a misspelt field can't be pruned in silence.
"""

from typing import Any, Final

import jsonschema
import kubernetes_validate

from tests.deploy.rendering import Manifest

VERSIONS: Final = ("1.30", "1.37")
"""The oldest Kubernetes that the manifests are for, and the newest that the package knows."""

_NAMED: Final = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "pattern": r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"},
        "namespace": {"type": "string"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "additionalProperties": False,
}


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


_COUNT: Final = {"type": "integer", "minimum": 0}
_SCALING: Final = _object(
    [],
    stabilizationWindowSeconds={"type": "integer", "minimum": 0, "maximum": 3600},
    selectPolicy={"enum": ["Max", "Min", "Disabled"]},
)
_TRIGGER: Final = _object(
    ["type", "metadata", "authenticationRef"],
    type={"const": "postgresql"},
    metadata=_object(
        ["query", "targetQueryValue"],
        query={"type": "string", "minLength": 1},
        targetQueryValue={"type": "string", "pattern": r"^[0-9.]+$"},
        activationTargetQueryValue={"type": "string", "pattern": r"^[0-9.]+$"},
    ),
    metricType={"enum": ["AverageValue", "Value"]},
    authenticationRef=_object(["name"], name={"type": "string"}),
)
KEDA: Final = {
    "ScaledObject": _object(
        ["apiVersion", "kind", "metadata", "spec"],
        apiVersion={"const": "keda.sh/v1alpha1"},
        kind={"const": "ScaledObject"},
        metadata=_NAMED,
        spec=_object(
            ["scaleTargetRef", "triggers"],
            scaleTargetRef=_object(["name"], name={"type": "string"}),
            minReplicaCount=_COUNT,
            maxReplicaCount={"type": "integer", "minimum": 1},
            idleReplicaCount=_COUNT,
            pollingInterval={"type": "integer", "minimum": 1},
            cooldownPeriod=_COUNT,
            fallback=_object(["failureThreshold", "replicas"], failureThreshold=_COUNT, replicas=_COUNT),
            advanced=_object(
                [],
                horizontalPodAutoscalerConfig=_object(
                    [], behavior=_object([], scaleDown=_SCALING, scaleUp=_SCALING), name={"type": "string"}
                ),
            ),
            triggers={"type": "array", "minItems": 1, "items": _TRIGGER},
        ),
    ),
    "TriggerAuthentication": _object(
        ["apiVersion", "kind", "metadata", "spec"],
        apiVersion={"const": "keda.sh/v1alpha1"},
        kind={"const": "TriggerAuthentication"},
        metadata=_NAMED,
        spec=_object(
            ["secretTargetRef"],
            secretTargetRef={
                "type": "array",
                "minItems": 1,
                "items": _object(
                    ["parameter", "name", "key"],
                    parameter={"enum": ["host", "port", "dbName", "userName", "password", "sslmode", "connection"]},
                    name={"type": "string"},
                    key={"type": "string"},
                ),
            },
        ),
    ),
}


def find_schema_faults(manifest: Manifest, version: str) -> list[str]:
    """What this version of Kubernetes would refuse or drop, one line each."""
    title = f"{manifest.get('kind')}/{manifest.get('metadata', {}).get('name')}"
    if str(manifest.get("apiVersion", "")).startswith("keda.sh/"):
        schema = KEDA.get(str(manifest["kind"]))
        if schema is None:
            return [f"{title}: no schema for this kind of KEDA's"]
        validator = jsonschema.Draft202012Validator(schema)
        return [f"{title}: {one.json_path}: {one.message}" for one in validator.iter_errors(manifest)]
    try:
        kubernetes_validate.validate(manifest, version, strict=True)
    except kubernetes_validate.SchemaNotFoundError:
        return [f"{title}: Kubernetes {version} has no {manifest['kind']} of {manifest['apiVersion']}"]
    except kubernetes_validate.ValidationError as error:
        place = ".".join(str(part) for part in error.path)
        return [f"{title}: {place}: {error.message[:300]} (Kubernetes {version})"]
    return []
