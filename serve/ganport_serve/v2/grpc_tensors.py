"""Tensors of gRPC messages, raw or typed, to numpy and back."""

import math
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray
from tritonclient.grpc import service_pb2 as pb  # type: ignore[import-untyped]

from ganport_serve.problems import bad_field
from ganport_serve.v2.binary import sized
from ganport_serve.v2.core import InferenceCall, Tensors, seconds_of
from ganport_serve.v2.json_tensors import array_of
from ganport_serve.v2.models import VERSION, Declared, Model
from ganport_serve.v2.parameters import refuse_unsupported

__all__ = ["call_of", "response_of", "tensors_of"]

_CONTENTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
}
_LONGEST_SHAPE = 16  # a longer one fits no model, and is not read to its end


def call_of(model: Model, request: pb.ModelInferRequest, seconds: float | None) -> InferenceCall:
    """What a message asks of a model.

    Args:
        model: that is asked.
        request: the message.
        seconds: until the call's deadline; None: it has none. The parameter `timeout` may ask for less.

    Raises:
        ProblemError: it is no request of this model, with the field that is wrong.
    """
    declared = tuple(
        Declared(tensor.name, tensor.datatype, tuple(tensor.shape[:_LONGEST_SHAPE]), f"inputs[{index}]")
        for index, tensor in enumerate(request.inputs)
    )
    model.admit(declared)
    for field in ("inputs", "outputs"):
        for index, tensor in enumerate(getattr(request, field)):
            refuse_unsupported(tensor.parameters, f"{field}[{index}].parameters")
    parameters = _values(request.parameters)
    refuse_unsupported(parameters, "parameters")
    model.outputs_named([wanted.name for wanted in request.outputs])
    timeouts = (seconds, seconds_of(parameters.get("timeout"), "parameters.timeout"))
    return InferenceCall(model, declared, min((value for value in timeouts if value is not None), default=None))


def tensors_of(call: InferenceCall, request: pb.ModelInferRequest) -> Tensors:
    """Every input of a message; raw contents are not copied.

    Raises:
        ProblemError: contents that are not those of the declared datatype and shape.
    """
    raw = request.raw_input_contents
    if not raw:
        pairs = zip(call.declared, request.inputs, strict=True)
        return {declared.name: _typed(declared, tensor.contents) for declared, tensor in pairs}
    if len(raw) != len(call.declared) or any(tensor.HasField("contents") for tensor in request.inputs):
        detail = f"{len(raw)} raw contents for {len(call.declared)} inputs, wanted one for each and no typed ones"
        raise bad_field("raw_input_contents", detail)
    return {
        declared.name: sized(len(data), declared.datatype, declared.shape, 0, f"raw_input_contents[{index}]").array(
            data, 0
        )
        for index, (declared, data) in enumerate(zip(call.declared, raw, strict=True))
    }


def response_of(call: InferenceCall, request: pb.ModelInferRequest, tensors: Tensors) -> pb.ModelInferResponse:
    """The message that answers a request: the outputs that it names, raw, in its order."""
    specs = call.model.outputs_named([wanted.name for wanted in request.outputs])
    outputs = [
        pb.ModelInferResponse.InferOutputTensor(
            name=spec.name, datatype=spec.datatypes[0], shape=tensors[spec.name].shape
        )
        for spec in specs
    ]
    raw = [tensors[spec.name].tobytes() for spec in specs]
    return pb.ModelInferResponse(
        model_name=call.model.name, model_version=VERSION, id=request.id, outputs=outputs, raw_output_contents=raw
    )


def _typed(declared: Declared, contents: pb.InferTensorContents) -> NDArray[Any]:
    field = f"{declared.field}.contents"
    wanted = _CONTENTS.get(declared.datatype)
    if wanted is None:
        raise bad_field(field, f"{declared.datatype} has no typed contents, wanted raw_input_contents")
    others = [descriptor.name for descriptor, _ in contents.ListFields() if descriptor.name != wanted]
    if others:
        raise bad_field(field, f"{field} has {others[0]}, wanted {wanted} for {declared.datatype}")
    numbers, count = getattr(contents, wanted), math.prod(declared.shape)
    if len(numbers) != count:  # before they are made numbers of Python's
        raise bad_field(field, f"{field}.{wanted} has {len(numbers)} elements, wanted {count}")
    return array_of(list(numbers), declared.datatype, declared.shape, f"{field}.{wanted}")


def _values(parameters: Mapping[str, pb.InferParameter]) -> dict[str, Any]:
    chosen = {name: value.WhichOneof("parameter_choice") for name, value in parameters.items()}
    return {name: getattr(parameters[name], choice) for name, choice in chosen.items() if choice is not None}
