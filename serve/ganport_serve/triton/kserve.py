"""The repository and the bundle as KServe's `InferenceService`: by Triton, and by ganport's own server."""

import re
from typing import Any

import yaml  # type: ignore[import-untyped]
from ganport_runtime import __version__

__all__ = ["ganport_service", "service_name", "service_text", "triton_service"]

API = "serving.kserve.io/v1beta1"
MOUNT = "/mnt/models"  # where KServe puts what storageUri names
HTTP_PORT = 8080
GIBIBYTES = 4


def service_text(service: dict[str, Any]) -> str:
    """YAML, keys in the order in which people write them."""
    return str(yaml.safe_dump(service, sort_keys=False, default_flow_style=False))


def triton_service(name: str, *, storage_uri: str, device: str, cores: int) -> dict[str, Any]:
    """The repository, served by the Triton runtime that KServe brings."""
    model = {
        "modelFormat": {"name": "triton", "version": "2"},
        "runtime": "kserve-tritonserver",
        "protocolVersion": "v2",
        "storageUri": storage_uri,
        "resources": _resources(device, cores),
        "readinessProbe": _readiness(),
    }
    return _service(f"{name}-triton", {"minReplicas": 1, "model": model})


def ganport_service(name: str, *, storage_uri: str, device: str, cores: int) -> dict[str, Any]:
    """The bundle, served by `ganport serve`, which speaks the Open Inference Protocol itself."""
    container = {
        "name": "kserve-container",
        "image": f"REGISTRY/ganport:{__version__}",
        "command": ["ganport"],
        "args": ["serve", MOUNT, "--host", "0.0.0.0", "--port", str(HTTP_PORT), "--no-grpc"],
        "env": [
            {"name": "STORAGE_URI", "value": storage_uri},  # KServe fetches it to MOUNT before the container starts
            {"name": "GANPORT_CACHE", "value": "/tmp/ganport"},  # containers of KServe need not have a home
        ],
        "ports": [{"containerPort": HTTP_PORT, "protocol": "TCP"}],
        "resources": _resources(device, cores),
        "readinessProbe": _readiness(),
    }
    return _service(f"{name}-ganport", {"minReplicas": 1, "containers": [container]})


def service_name(bundle_name: str) -> str:
    """A bundle's name as Kubernetes takes it: lower-case letters, digits and hyphens, a letter first."""
    name = re.sub(r"[^a-z0-9]+", "-", bundle_name.lower()).strip("-")[:40].strip("-")
    return name if name[:1].isalpha() else f"gan-{name}".strip("-")


def _service(name: str, predictor: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": API,
        "kind": "InferenceService",
        "metadata": {"name": name},
        "spec": {"predictor": predictor},
    }


def _resources(device: str, cores: int) -> dict[str, Any]:
    """As much asked for as allowed: a container that is throttled misses its latency without a word."""
    amount: dict[str, Any] = {"cpu": str(cores), "memory": f"{GIBIBYTES}Gi"}
    if device == "cuda":
        amount["nvidia.com/gpu"] = "1"
    return {"requests": dict(amount), "limits": dict(amount)}


def _readiness() -> dict[str, Any]:
    """Ready once every model is warm."""
    return {
        "httpGet": {"path": "/v2/health/ready", "port": HTTP_PORT},
        "periodSeconds": 2,
        "timeoutSeconds": 2,
        "failureThreshold": 3,
    }
