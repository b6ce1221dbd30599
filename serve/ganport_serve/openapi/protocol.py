"""The Open Inference Protocol beside inference: health, metadata, configuration, statistics, repository index."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from ganport_serve.engine import Served
from ganport_serve.openapi.inference import VERSION_PARAMETER
from ganport_serve.openapi.parts import JSON, Document, answer, array, constant, operation, record
from ganport_serve.v2.models import models

__all__ = ["protocol_paths"]

TEXT = {"type": "string"}
COUNT = {"type": "integer", "minimum": 0}
DURATION = record({"count": COUNT, "ns": COUNT})
TENSOR = record({"name": TEXT, "datatype": TEXT, "shape": array({"type": "integer", "minimum": -1})})
CONFIG_TENSOR = record(
    {"name": TEXT, "data_type": TEXT, "dims": array({"type": "integer"}), "optional": {"type": "boolean"}},
    optional=("optional",),
)
METADATA = record(
    {
        "name": TEXT,
        "versions": array(TEXT, 1),
        "platform": TEXT,
        "inputs": array(TENSOR, 1),
        "outputs": array(TENSOR, 1),
    }
)
BATCHING = record(
    {"preferred_batch_size": array({"type": "integer", "minimum": 1}), "max_queue_delay_microseconds": COUNT}
)
CONFIG = record(
    {
        "name": TEXT,
        "platform": TEXT,
        "backend": TEXT,
        "max_batch_size": COUNT,
        "input": array(CONFIG_TENSOR, 1),
        "output": array(CONFIG_TENSOR, 1),
        "dynamic_batching": BATCHING,
        "parameters": {"type": "object", "additionalProperties": record({"string_value": TEXT})},
    }
)
TIMES = record(dict.fromkeys(("success", "fail", "queue", "compute_input", "compute_infer"), DURATION))
STATISTICS = record(
    {
        "model_stats": array(
            record(
                {
                    "name": TEXT,
                    "version": TEXT,
                    "last_inference": COUNT,
                    "inference_count": COUNT,
                    "execution_count": COUNT,
                    "inference_stats": TIMES,
                }
            )
        )
    }
)
INDEX = array(record({"name": TEXT, "version": TEXT, "state": TEXT, "reason": TEXT}, optional=("reason",)))
SERVER = record({"name": constant("ganport"), "version": TEXT, "extensions": array(TEXT)})


def protocol_paths(served: Served) -> Document:
    """Every path below `/v2` but inference."""
    found = {
        "/v2": {"get": _get("server_metadata", "Name, version and extensions of the server", SERVER)},
        "/v2/health/live": {"get": _open("live", "Whether the server runs", record({"live": constant(True)}))},
        "/v2/health/ready": {"get": _open("ready", "Whether it answers requests", record({"ready": constant(True)}))},
        "/v2/models/stats": {"get": _get("statistics", "Statistics of every model", STATISTICS)},
        "/v2/repository/index": {"post": _index()},
    }
    for end, name, summary, schema in (
        ("", "metadata", "Inputs and outputs of a model", METADATA),
        ("/ready", "model_ready", "Whether a model answers requests", record({"name": TEXT, "ready": constant(True)})),
        ("/config", "config", "The model as Triton's configuration has it", CONFIG),
        ("/stats", "model_statistics", "Statistics of a model", STATISTICS),
    ):
        found |= _of_model(served, end, name, summary, schema)
    return found


def _of_model(served: Served, end: str, name: str, summary: str, schema: Document) -> Document:
    model = {"name": "model", "in": "path", "required": True, "schema": {"enum": list(models(served))}}
    keywords: dict[str, Any] = {"refused": (HTTPStatus.NOT_FOUND,)}
    plain = _get(name, summary, schema, (model,), **keywords)
    versioned = _get(f"{name}_version", summary, schema, (model, VERSION_PARAMETER), **keywords)
    path = "/v2/models/{model}"
    return {f"{path}{end}": {"get": plain}, f"{path}/versions/{{version}}{end}": {"get": versioned}}


def _get(
    name: str,
    summary: str,
    schema: Document,
    parameters: Sequence[Document] = (),
    *,
    refused: Sequence[HTTPStatus] = (),
) -> Document:
    answers = {"200": answer(summary + ".", {JSON: schema})}
    return operation(name, "models", summary, answers, parameters=parameters, refused=refused)


def _open(name: str, summary: str, schema: Document) -> Document:
    """What is answered without a token too."""
    return _get(name, summary, schema) | {"security": []}


def _index() -> Document:
    body = {
        "content": {
            JSON: {"schema": record({"ready": {"type": "boolean"}}, optional=("ready",)), "example": {"ready": True}}
        }
    }
    answers = {"200": answer("Every model with its state.", {JSON: INDEX})}
    return operation(
        "repository_index", "models", "Models and their states", answers, body=body,
        text="With `ready` only those that answer requests.",
    )  # fmt: skip
