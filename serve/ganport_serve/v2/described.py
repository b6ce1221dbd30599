"""What the protocol says of server and models, as documents that both transports send."""

from typing import Any

from ganport_runtime import __version__

from ganport_serve.service import Service
from ganport_serve.v2.models import VERSION, Model, TensorSpec, models

__all__ = ["config", "metadata", "repository_index", "server_metadata"]

PLATFORM = "ganport"
EXTENSIONS = ("binary_tensor_data", "model_configuration", "statistics")
_CONFIG_TYPES = {"UINT8": "TYPE_UINT8", "UINT32": "TYPE_UINT32", "UINT64": "TYPE_UINT64", "FP32": "TYPE_FP32"}

Document = dict[str, Any]


def server_metadata() -> Document:
    """Name, version and extensions of the server."""
    return {"name": PLATFORM, "version": __version__, "extensions": list(EXTENSIONS)}


def metadata(model: Model) -> Document:
    """Inputs and outputs of a model; a dimension of -1 is the request's choice."""
    return {
        "name": model.name,
        "versions": [VERSION],
        "platform": PLATFORM,
        "inputs": [_tensor(spec) for spec in model.inputs],
        "outputs": [_tensor(spec) for spec in model.outputs],
    }


def config(service: Service, model: Model) -> Document:
    """The model as Triton's configuration has it, with the bundle and plan in use among its parameters.

    Its batch size is 0, which says that a request gives whole shapes: one seed may ask for many images.
    """
    served, settings = service.engine.served, service.settings
    said = {"bundle": served.name, "digest": served.digest, "plan": served.plans.get(model.name, "")}
    return {
        "name": model.name,
        "platform": PLATFORM,
        "backend": PLATFORM,
        "version_policy": {"latest": {"num_versions": 1}},
        "max_batch_size": 0,
        "input": [_config_tensor(spec) | {"optional": spec.optional} for spec in model.inputs],
        "output": [_config_tensor(spec) for spec in model.outputs],
        "instance_group": [{"name": model.name, "kind": "KIND_AUTO", "count": service.engine.load().replicas}],
        "dynamic_batching": {
            "preferred_batch_size": list(served.buckets),
            "max_queue_delay_microseconds": round(settings.max_delay * 1e6),
        },
        "parameters": {key: {"string_value": value} for key, value in said.items()},
    }


def repository_index(service: Service, *, ready: bool = False) -> list[Document]:
    """Every model with its state.

    Args:
        service: that serves them.
        ready: leave out those that are not.
    """
    reason = service.engine.refusal()
    if ready and reason is not None:
        return []
    state = {"state": "READY"} if reason is None else {"state": "UNAVAILABLE", "reason": reason}
    return [{"name": name, "version": VERSION, **state} for name in models(service.engine.served)]


def _tensor(spec: TensorSpec) -> Document:
    return {"name": spec.name, "datatype": spec.datatypes[0], "shape": list(spec.shape)}


def _config_tensor(spec: TensorSpec) -> Document:
    return {"name": spec.name, "data_type": _CONFIG_TYPES[spec.datatypes[0]], "dims": list(spec.shape)}
