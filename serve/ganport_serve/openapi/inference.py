"""`POST /v2/models/{model}/infer`: requests and answers of each model, from its tensors."""

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from ganport_serve.engine import Served
from ganport_serve.openapi.parts import JSON, Document, answer, array, constant, operation, record
from ganport_serve.settings import Settings
from ganport_serve.v2.binary import HEADER_LENGTH
from ganport_serve.v2.models import ANY, VERSION, Model, TensorSpec, models

__all__ = ["VERSION_PARAMETER", "inference_paths"]

BINARY = "application/octet-stream"
REFUSED = (
    HTTPStatus.NOT_FOUND,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.GATEWAY_TIMEOUT,
)
TEXT = """Inputs: {wanted}. With a tensor's parameter `binary_data_size` in place of `data` its numbers follow the JSON
as bytes, little-endian and in row-major order, and `Inference-Header-Content-Length` says how long the JSON is; with
an output's parameter `binary_data`, or `binary_data_output` for all of them, the answer comes in the same way."""
EXAMPLES: Mapping[str, Document] = {
    "generator": {"inputs": [{"name": "seed", "datatype": "UINT64", "shape": [1], "data": [7]}]}
}
LONGEST_ROW = 1024  # numbers whose nesting is written out; tools that make requests from it choke on more
FLAG = {"type": "boolean"}
LENGTHS: tuple[Document, ...] = (
    {
        "name": HEADER_LENGTH,
        "in": "header",
        "description": "Bytes of JSON, where tensors follow it.",
        "schema": {"type": "integer", "minimum": 0},
    },
)
VERSION_PARAMETER: Document = {
    "name": "version",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "enum": [VERSION]},
}


def inference_paths(served: Served, settings: Settings) -> Document:
    """Inference on every model, with and without its version."""
    found: Document = {}
    for model in models(served).values():
        path = f"/v2/models/{model.name}"
        found[f"{path}/infer"] = {"post": _operation(model, settings, model.name, ())}
        versioned = _operation(model, settings, f"{model.name}_version", (VERSION_PARAMETER,))
        found[f"{path}/versions/{{version}}/infer"] = {"post": versioned}
    return found


def _operation(model: Model, settings: Settings, name: str, parameters: Sequence[Document]) -> Document:
    bytes_after = {HEADER_LENGTH: "Bytes of JSON, where tensors follow it."}
    content = {JSON: _answer(model), BINARY: {}}
    return operation(
        f"infer_{name}", "inference", f"Run the {model.name}",
        {"200": answer("The outputs that were asked for.", content, bytes_after)},
        text=TEXT.format(wanted=model.wanted), parameters=(*parameters, *LENGTHS),
        body={"required": True, "content": {JSON: _json(model, settings), BINARY: {}}},
        refused=REFUSED,
    )  # fmt: skip


def _json(model: Model, settings: Settings) -> Document:
    content = {"schema": _request(model, settings)}
    return content | {"example": EXAMPLES[model.name]} if model.name in EXAMPLES else content


def _request(model: Model, settings: Settings) -> Document:
    specs = {spec.name: spec for spec in model.inputs}
    whole = [
        _inputs([specs[name] for name in specs if name in needed | allowed], len(needed), settings.max_count)
        for needed, allowed in model.choices
    ]
    parameters = {
        "timeout": {"type": "integer", "minimum": 0, "description": "microseconds; 0: as long as the server allows"},
        "binary_data_output": FLAG,
    }
    members = {
        "id": {"type": "string", "description": "comes back with the answer"},
        "inputs": whole[0] if len(whole) == 1 else {"oneOf": whole},
        "outputs": array(_wanted(model), 0, len(model.outputs)),
        "parameters": record(parameters, optional=tuple(parameters)),
    }
    return {"title": f"{model.name.title()}Request"} | record(members, optional=("id", "outputs", "parameters"))


def _inputs(specs: Sequence[TensorSpec], least: int, most: int) -> Document:
    tensors = [_input(spec, most) for spec in specs]
    items = tensors[0] if len(tensors) == 1 else {"oneOf": tensors}
    return array(items, least, len(tensors))


def _input(spec: TensorSpec, most: int) -> Document:
    members = {
        "name": constant(spec.name),
        "datatype": {"enum": list(spec.datatypes)},
        "shape": _shape(spec),
        "data": _data(spec, most),
    }
    return record(members)


def _wanted(model: Model) -> Document:
    parameters = record({"binary_data": FLAG}, optional=("binary_data",))
    names = {"enum": [spec.name for spec in model.outputs]}
    return record({"name": names, "parameters": parameters}, optional=("parameters",))


def _answer(model: Model) -> Document:
    outputs = (
        {"oneOf": [_output(spec) for spec in model.outputs]} if len(model.outputs) > 1 else _output(model.outputs[0])
    )
    members = {
        "model_name": constant(model.name),
        "model_version": constant(VERSION),
        "id": {"type": "string"},
        "outputs": array(outputs, 1, len(model.outputs)),
    }
    return {"title": f"{model.name.title()}Answer"} | record(members, optional=("id",))


def _output(spec: TensorSpec) -> Document:
    number = {"type": "integer", "minimum": 0, "maximum": 255} if spec.datatypes[0] == "UINT8" else {"type": "number"}
    members = {
        "name": constant(spec.name),
        "datatype": constant(spec.datatypes[0]),
        "shape": _shape(spec),
        "data": array(number, 1),
    }
    return record(members)


def _shape(spec: TensorSpec) -> Document:
    """A list of dimensions; in words which, since many a reader of OpenAPI trips over `prefixItems`."""
    if ANY not in spec.shape:
        return constant(list(spec.shape))
    dims = array({"type": "integer", "minimum": 1}, len(spec.shape), len(spec.shape))
    return dims | {"description": spec.wanted}


def _data(spec: TensorSpec, most: int) -> Document:
    """Numbers in row-major order, or lists of lists as the shape has it."""
    if spec.shape == (1,):
        high = most if spec.name == "count" else 2**64 - 1
        return array({"type": "integer", "minimum": 1 if spec.name == "count" else 0, "maximum": high}, 1, 1)
    number = {"type": "integer", "minimum": 0, "maximum": 255} if spec.datatypes[0] == "UINT8" else {"type": "number"}
    if math.prod(spec.shape[1:]) > LONGEST_ROW:
        return array({"type": [number["type"], "array"]}, 1)
    nested = number
    for size in reversed(spec.shape[1:]):
        nested = array(nested, size, size)
    return {"oneOf": [array(number, 1), array(nested, 1, most)]}
