"""Messages of gRPC: checked before they are parsed, answered method by method, tensors to numpy and back."""

import math
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import msgspec
from google.protobuf.json_format import ParseDict  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError, Message  # type: ignore[import-untyped]
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2 as pb  # type: ignore[import-untyped]

from ganport_serve.errors import NotReadyError, UnknownModelError
from ganport_serve.http import LONGEST_JSON
from ganport_serve.refusals import ProblemError, bad_field, refuse
from ganport_serve.service import Hold, Service
from ganport_serve.v2.http import run
from ganport_serve.v2.models import (
    VERSION,
    Declared,
    Model,
    config_document,
    model_document,
    models,
    named,
    repository_index,
    server_document,
    statistics,
)
from ganport_serve.v2.tensors import InferenceCall, Tensors, array_of, refuse_unsupported, seconds_of, sized

Proto = Any  # some generated message: tritonclient's stubs carry no types
AnswerMethod = Callable[[Service, Proto, float | None], Awaitable[Message]]  # within so many seconds; None: any time
# Parsing holds up every other client, and a message's parts may be a hundred times larger in memory than on the wire.
MOST_PARTS = 1000  # a request for every output with every parameter has some thirty
LONGEST_NUMBERS = LONGEST_JSON  # bytes beside raw contents
_INPUTS, _OUTPUTS, _RAW = 5, 6, 7  # fields of ModelInferRequest; no other request has such fields
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10  # bytes
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


def check_parts(data: bytes) -> None:
    """Refuse a message of very many parts, or of very many numbers that are not raw."""
    raw = parts = 0
    for number, begin, end in _fields(data, 0, len(data)):
        parts += 1
        if number == _RAW:
            raw += end - begin
        elif number in (_INPUTS, _OUTPUTS):
            for _ in _fields(data, begin, end):
                parts += 1
                _check_count(parts)
        _check_count(parts)
    if len(data) - raw > LONGEST_NUMBERS:
        detail = f"the message has {len(data) - raw} bytes beside raw_input_contents, wanted {LONGEST_NUMBERS} or fewer"
        raise refuse("too_large", f"{detail}; send its tensors raw", field="message")


def _check_count(parts: int) -> None:
    if parts > MOST_PARTS:
        raise bad_field("message", f"the message has more than {MOST_PARTS} tensors and parameters, wanted fewer")


def _fields(data: bytes, position: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The number of each field of a message, and where its content begins and ends."""
    while position < end:
        tag, position = _varint(data, position, end)
        kind = tag & 7
        if kind == _BYTES:
            size, position = _varint(data, position, end)
        elif kind == _VARINT:
            size = _varint(data, position, end)[1] - position
        else:
            size = {_FIXED64: 8, _FIXED32: 4}.get(kind, end)  # others are none
        if position + size > end:
            raise _broken()
        yield tag >> 3, position, position + size
        position += size


def _varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where it ends."""
    value = 0
    for index, byte in enumerate(data[position : min(end, position + _LONGEST_VARINT)]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, position + index + 1
    raise _broken()


def _broken() -> ProblemError:
    return bad_field("message", "the message is broken, wanted a request of the protocol; was it cut short?")


def parse_message(kind: type[Message], data: bytes) -> Proto:
    """A message of this type."""
    check_parts(data)
    try:
        return kind.FromString(data)
    except DecodeError:
        raise bad_field("message", f"the message is no {kind.__name__}") from None


async def _server_live(_: Service, __: Proto, ___: float | None) -> Message:
    return pb.ServerLiveResponse(live=True)


async def _server_ready(service: Service, _: Proto, __: float | None) -> Message:
    return pb.ServerReadyResponse(ready=service.engine.refusal() is None)


async def _model_ready(service: Service, request: Proto, _: float | None) -> Message:
    try:
        _model(service, request)
    except (UnknownModelError, NotReadyError):
        return pb.ModelReadyResponse(ready=False)
    return pb.ModelReadyResponse(ready=service.engine.refusal() is None)


async def _server_metadata(_: Service, __: Proto, ___: float | None) -> Message:
    return ParseDict(msgspec.to_builtins(server_document()), pb.ServerMetadataResponse())


async def _model_metadata(service: Service, request: Proto, _: float | None) -> Message:
    return ParseDict(msgspec.to_builtins(model_document(_model(service, request))), pb.ModelMetadataResponse())


async def _model_config(service: Service, request: Proto, _: float | None) -> Message:
    document = config_document(service, _model(service, request))
    return ParseDict({"config": msgspec.to_builtins(document)}, pb.ModelConfigResponse())


async def _model_statistics(service: Service, request: Proto, _: float | None) -> Message:
    found = [_model(service, request)] if request.name else models(service.engine.served).values()
    return ParseDict(msgspec.to_builtins(statistics(service, found)), pb.ModelStatisticsResponse())


async def _repository_index(service: Service, request: Proto, _: float | None) -> Message:
    index = msgspec.to_builtins(repository_index(service, ready=request.ready))
    return ParseDict({"models": index}, pb.RepositoryIndexResponse())


async def infer(service: Service, request: Proto, seconds: float | None, hold: Hold) -> Proto:
    """The answer to an inference request; `hold` holds its raw contents."""
    model = named(service.engine.served, request.model_name, request.model_version)
    call = call_of(model, request, seconds)
    row = 2 * sum(spec.row_bytes for spec in model.outputs)  # as tensors, and in the message
    outputs, size = await run(service, call, tensors_of(call, request), hold, row)
    answer = response_of(call, request, outputs)
    hold.take(raw_bytes(answer) - size)
    return answer


def raw_bytes(answer: Proto) -> int:
    """Bytes of an answer's tensors."""
    return sum(map(len, getattr(answer, "raw_output_contents", ())))


async def not_served(_: Service, request: Proto, __: float | None) -> Message:
    """Refuse a method of the protocol that this server does not have."""
    name = type(request).__name__.removesuffix("Request")
    what = "one bundle, tensors in the messages themselves, settings by ganport serve's options"
    raise refuse("not_served", f"{name} is not served: {what}")


def _model(service: Service, request: Proto) -> Model:
    return named(service.engine.served, request.name, request.version)


METHODS: Mapping[str, AnswerMethod] = {
    "ServerLive": _server_live,
    "ServerReady": _server_ready,
    "ModelReady": _model_ready,
    "ServerMetadata": _server_metadata,
    "ModelMetadata": _model_metadata,
    "ModelConfig": _model_config,
    "ModelStatistics": _model_statistics,
    "RepositoryIndex": _repository_index,
}


def call_of(model: Model, request: pb.ModelInferRequest, seconds: float | None) -> InferenceCall:
    """What a message asks of a model.

    `seconds`: until the call's deadline; None: it has none. The parameter `timeout` may ask for less.
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
    """Every input of a message; raw contents are not copied."""
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
