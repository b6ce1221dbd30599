"""Requests and answers of the protocol over HTTP: JSON, and after it the bytes of binary tensors."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Annotated, Any

import msgspec
import numpy as np
from ganport_runtime.errors import shown
from numpy.typing import NDArray

from ganport_serve.http import Response, decode_json
from ganport_serve.refusals import bad_field, refuse
from ganport_serve.v2.models import VERSION, Declared, Model, TensorSpec, dtype_of

Tensors = Mapping[str, NDArray[Any]]
HEADER_LENGTH = "Inference-Header-Content-Length"
LONGEST_REMEMBERED = 4096  # bytes; longer JSON carries its numbers and hardly comes twice
MOST_TENSORS = 16  # of one request; no model here has as many
MICROSECONDS = 1_000_000
WANTED = "wanted an inference request"
# every byte as four characters, so that pixels become JSON by one look-up each: JSON ignores the blanks
_PIXELS = np.frombuffer(b"".join(b"%3d," % value for value in range(256)), np.uint32)
_SHARED_MEMORY = "tensors come and go with the request itself; shared memory is not served"
_SEQUENCES = "every request stands alone; sequences are not served"
_UNSUPPORTED = {
    "shared_memory_region": _SHARED_MEMORY,
    "shared_memory_byte_size": _SHARED_MEMORY,
    "shared_memory_offset": _SHARED_MEMORY,
    "sequence_id": _SEQUENCES,
    "sequence_start": _SEQUENCES,
    "sequence_end": _SEQUENCES,
    "priority": "requests are answered in the order in which they come; priorities are not served",
    "classification": "outputs come as tensors; classification is not served",
}
_OPENING = {False: b'"data":[', True: b'"parameters":{"binary_data_size":%d}'}
_JSON = (b"content-type", b"application/json")
_BINARY = (b"content-type", b"application/octet-stream")

Parameters = dict[str, Any]


class InferInput(msgspec.Struct):
    """An input: its numbers stand in `data`, or follow the JSON as `binary_data_size` bytes."""

    name: str
    datatype: str
    shape: list[Annotated[int, msgspec.Meta(ge=0)]]
    data: msgspec.Raw = msgspec.Raw(b"null")
    parameters: Parameters | None = None


class InferOutput(msgspec.Struct):
    """An output that is wanted; its parameter `binary_data` asks for bytes after the JSON."""

    name: str
    parameters: Parameters | None = None


class InferRequest(msgspec.Struct):
    """An inference request; all outputs come where none is named."""

    inputs: Annotated[list[InferInput], msgspec.Meta(max_length=MOST_TENSORS)] | None = None
    outputs: Annotated[list[InferOutput], msgspec.Meta(max_length=MOST_TENSORS)] | None = None
    id: str | None = None
    parameters: Parameters | None = None


def refuse_unsupported(names: Iterable[str], field: str) -> None:
    """Refuse parameters that ask for what is not served, so that nobody relies on it; others are ignored."""
    for name in names:
        if name in _UNSUPPORTED:
            raise bad_field(f"{field}.{name}", _UNSUPPORTED[name])


def seconds_of(value: object, field: str) -> float | None:
    """The parameter `timeout`, in microseconds as Triton has it, in seconds; None where it asks for nothing."""
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**64:
        raise bad_field(field, f"timeout is {shown(value)}, wanted a whole number of microseconds, 0 for none")
    return value / MICROSECONDS or None


@dataclass(frozen=True, slots=True)
class InferenceCall:
    """What a request asks of a model, beside its numbers."""

    model: Model  # that is asked; it has admitted the tensors
    declared: Sequence[Declared]  # every input
    timeout: float | None  # seconds within which the answer is wanted; None: as long as the server allows

    def field(self, name: str) -> str:
        """Where an input stands in the request."""
        return next((tensor.field for tensor in self.declared if tensor.name == name), "inputs")

    def within(self, limit: float) -> float:
        """Seconds within which the answer is wanted, of those that the server allows."""
        return limit if self.timeout is None else min(limit, self.timeout)


@dataclass(frozen=True, slots=True)
class Slot:
    """Where one tensor's bytes lie after the JSON."""

    dtype: np.dtype[Any]  # of the tensor
    shape: tuple[int, ...]  # of the tensor
    offset: int  # bytes from the JSON's end
    size: int  # bytes

    def array(self, body: bytes, start: int) -> NDArray[Any]:
        """The tensor: a view of the body, copied only where it is not aligned."""
        array = np.frombuffer(body, self.dtype, self.size // self.dtype.itemsize, start + self.offset)
        return (array if array.flags.aligned else array.copy()).reshape(self.shape)


def sized(size: object, datatype: str, shape: Sequence[int], offset: int, field: str) -> Slot:
    """The place of a tensor that says how many bytes it has. `offset`: bytes of the tensors before it."""
    dtype = dtype_of(datatype, field)
    wanted = math.prod(shape) * dtype.itemsize
    if type(size) is not int or size != wanted:
        what = f"wanted {shown(wanted)} for {datatype} {shown(list(shape))}"
        raise bad_field(field, f"{field}: {shown(size)} bytes, {what}")
    return Slot(dtype, tuple(shape), offset, size)


@dataclass(frozen=True, slots=True)
class Output:
    """One output that a request wants."""

    name: str  # of the tensor
    binary: bool  # whether its numbers follow the JSON as bytes
    opening: bytes  # what JSON says of it up to its numbers, with places for its shape, and for its bytes where binary


@dataclass(frozen=True, slots=True)
class ParsedRequest:
    """A request without the bytes that follow its JSON."""

    call: InferenceCall  # what is asked of the model
    arrays: Tensors  # tensors whose numbers stand in the JSON
    slots: Mapping[str, Slot]  # where the others lie after it
    tail: int  # bytes that must follow the JSON
    outputs: tuple[Output, ...]  # what is wanted
    opening: bytes  # the answer's JSON up to its first output

    def tensors(self, body: bytes, start: int) -> dict[str, NDArray[Any]]:
        """Every input of the request."""
        given = len(body) - start
        if given != self.tail:
            detail = f"{given} bytes follow the JSON, wanted {self.tail}: the sum of every binary_data_size"
            raise bad_field(HEADER_LENGTH, detail)
        return {**self.arrays, **{name: slot.array(body, start) for name, slot in self.slots.items()}}


def header_length(value: bytes | None, body: bytes) -> int:
    """How many bytes of the body are JSON.

    `value`: of the header `Inference-Header-Content-Length`; None: all of the body.
    """
    if value is None:
        return len(body)
    if b"," in value:
        raise bad_field(HEADER_LENGTH, f"{HEADER_LENGTH} is given twice, wanted once")
    if not (value.isdigit() and len(value) < 20):
        raise bad_field(HEADER_LENGTH, f"{HEADER_LENGTH} is {shown(value.decode('latin-1'))}, wanted a number of bytes")
    length = int(value)
    if length > len(body):
        detail = f"{HEADER_LENGTH} is {length}, but the body has {len(body)} bytes; was it cut short?"
        raise bad_field(HEADER_LENGTH, detail)
    return length


def parse(model: Model, text: bytes, most: int) -> ParsedRequest:
    """Work out a request's JSON, of at most so many rows; done once for JSON that comes again and again."""
    return (_remembered if len(text) <= LONGEST_REMEMBERED else _parse)(model, text, most)


def _parse(model: Model, text: bytes, most: int) -> ParsedRequest:
    document = decode_json(text, InferRequest, WANTED)
    inputs, outputs = document.inputs or [], document.outputs or []
    declared = tuple(
        Declared(given.name, given.datatype, tuple(given.shape), f"inputs[{index}]")
        for index, given in enumerate(inputs)
    )
    model.admit(declared)
    arrays: dict[str, NDArray[Any]] = {}
    slots: dict[str, Slot] = {}
    tail = 0
    for given, tensor in zip(inputs, declared, strict=True):
        size = _parameters(given.parameters, f"{tensor.field}.parameters").get("binary_data_size")
        data = None if bytes(memoryview(given.data)[:5]) == b"null" else given.data
        if (data is None) == (size is None):
            what = "nothing" if size is None else "both"
            detail = f"{tensor.field} has {what}, wanted its numbers either as data or as binary_data_size bytes"
            raise bad_field(tensor.field, detail)
        if data is not None and tensor.shape[0] > most:  # before it is made of objects
            detail = f"{tensor.name} has {shown(tensor.shape[0])} rows, wanted 1 to {most} in one request"
            raise bad_field(f"{tensor.field}.shape", detail)
        if data is not None:
            arrays[tensor.name] = _json_array(data, tensor)
        else:
            field = f"{tensor.field}.parameters.binary_data_size"
            slots[tensor.name] = slot = sized(size, tensor.datatype, tensor.shape, tail, field)
            tail += slot.size
    parameters = _parameters(document.parameters, "parameters")
    call = InferenceCall(model, declared, seconds_of(parameters.get("timeout"), "parameters.timeout"))
    binary = _flag(parameters, "binary_data_output", "parameters") or False
    wanted = _wanted(model, outputs, binary)
    return ParsedRequest(call, arrays, slots, tail, wanted, _opening(model, document.id))


_remembered = lru_cache(maxsize=1024)(_parse)


def _parameters(given: Parameters | None, field: str) -> Parameters:
    found = given or {}
    refuse_unsupported(found, field)
    return found


def _flag(parameters: Parameters, key: str, field: str) -> bool | None:
    value = parameters.get(key)
    if value is not None and not isinstance(value, bool):
        raise bad_field(f"{field}.{key}", f"{field}.{key} is {shown(value)}, wanted true or false")
    return value


def _wanted(model: Model, outputs: Sequence[InferOutput], binary: bool) -> tuple[Output, ...]:
    specs = model.outputs_named([output.name for output in outputs])
    said = {}
    for index, output in enumerate(outputs):
        field = f"outputs[{index}].parameters"
        said[output.name] = _flag(_parameters(output.parameters, field), "binary_data", field)
    return tuple(_output(spec, binary if (own := said.get(spec.name)) is None else own) for spec in specs)


def _output(spec: TensorSpec, binary: bool) -> Output:
    places = ",".join("%d" for _ in spec.shape)
    start = f'{{"name":"{spec.name}","datatype":"{spec.datatypes[0]}","shape":[{places}],'
    return Output(spec.name, binary, start.encode() + _OPENING[binary])


def _opening(model: Model, request_id: str | None) -> bytes:
    members = {"model_name": model.name, "model_version": VERSION}
    if request_id is not None:
        members["id"] = request_id
    return msgspec.json.encode(members)[:-1] + b',"outputs":['


def _json_array(data: msgspec.Raw, tensor: Declared) -> NDArray[Any]:
    """The tensor of a flat list in row-major order, or of lists of lists as its shape has it."""
    field = f"{tensor.field}.data"
    _check_elements(bytes(data).count(b",") + 1, tensor.shape, field)  # before they are made objects
    item = {"b": bool, "f": float}.get(dtype_of(tensor.datatype, field).kind, int)
    is_nested = bytes(memoryview(data)[:100]).translate(None, b" \t\r\n").startswith(b"[[")
    kind: Any = list[item]  # type: ignore[valid-type]
    for _ in tensor.shape[1:] if is_nested else ():
        kind = list[kind]
    try:
        items = msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise bad_field(field, f"{field}: {error}, wanted {tensor.datatype} {shown(list(tensor.shape))}") from None
    return array_of(items, tensor.datatype, tensor.shape, field)


def array_of(items: list[Any], datatype: str, shape: Sequence[int], field: str) -> NDArray[Any]:
    """The tensor of numbers in row-major order, or of lists of lists as `shape` has it."""
    if items and isinstance(items[0], list):
        for size in shape[1:]:
            if any(len(item) != size for item in items):
                raise bad_field(field, f"{field} is not nested as the shape {shown(list(shape))} says")
            items = list(chain.from_iterable(items))
    dtype = dtype_of(datatype, field)
    _check_elements(len(items), shape, field)
    return (_floats if dtype.kind == "f" else _whole)(items, dtype, field).reshape(shape)


def _check_elements(given: int, shape: Sequence[int], field: str) -> None:
    if given != math.prod(shape):
        wanted = f"wanted {shown(math.prod(shape))} for the shape {shown(list(shape))}"
        raise bad_field(field, f"{field} has {given} elements, {wanted}")


def _whole(items: list[Any], dtype: np.dtype[Any], field: str) -> NDArray[Any]:
    if dtype.kind != "b" and items:
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        for item in (min(items), max(items)):
            if not low <= item <= high:
                raise bad_field(field, f"{field} holds {shown(item)}, wanted {low} to {high}")
    return np.array(items, dtype)


def _floats(items: list[Any], dtype: np.dtype[Any], field: str) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        array = np.array(items, np.float64).astype(dtype)
    if not np.isfinite(array).all():
        detail = f"{field} holds a number beyond the range of {dtype.name}, wanted finite numbers within it"
        raise bad_field(field, detail)
    return array


def response_of(parsed: ParsedRequest, tensors: Tensors) -> Response:
    """The answer as the request wants it: its outputs in its order, the bytes of an image copied once."""
    parts, arrays = [parsed.opening], list[memoryview]()
    for output in parsed.outputs:
        array = tensors[output.name]
        if output.binary:
            parts += (output.opening % (*array.shape, array.nbytes), b"}", b",")
            arrays.append(np.ascontiguousarray(array).data)
        else:
            parts += (output.opening % array.shape, json_text(array, output.name), b"]}", b",")
    parts[-1] = b"]}"
    text = b"".join(parts)
    if not arrays:
        return Response(text, [_JSON])
    length = (HEADER_LENGTH.lower().encode(), b"%d" % len(text))
    return Response(b"".join((text, *arrays)), [_BINARY, length])


def json_text(array: NDArray[Any], name: str) -> bytes:
    """The elements in row-major order as JSON has them, without the brackets around."""
    if array.dtype == np.uint8:
        return np.take(_PIXELS, array).tobytes()[:-1]
    if not np.isfinite(array).all():
        detail = f"{name} came out as NaN or infinity, which JSON cannot say; ask for it as binary data"
        raise refuse("failed", detail, field=name)
    rows = array.reshape(len(array), -1)  # row by row, so that other threads get their turn between two rows
    return b",".join(msgspec.json.encode(row.tolist())[1:-1] for row in rows)
