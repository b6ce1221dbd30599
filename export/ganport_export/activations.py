"""Values inside a graph, batch by batch, as ONNX Runtime computes them: what ranges are calibrated on."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir

from ganport_export.errors import ExportError
from ganport_export.onnx_session import Feed, OnnxSession

__all__ = ["Range", "activation_ranges", "fill_in_types", "intermediate_values", "serialize", "to_bytes"]

ENGINE_TYPES = {f"tensor({dtype.name.lower()})": dtype for dtype in onnx_ir.DataType}

Values = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Range:
    """The lowest and the highest value seen of one tensor."""

    lowest: float
    highest: float

    @property
    def largest(self) -> float:
        """The largest absolute value."""
        return max(abs(self.lowest), abs(self.highest))

    def joined(self, other: "Range") -> "Range":
        """The range of both."""
        return Range(min(self.lowest, other.lowest), max(self.highest, other.highest))


def activation_ranges(
    model: onnx_ir.Model, names: Sequence[str], feeds: Iterable[Feed], *, threads: int | None = None
) -> Mapping[str, Range]:
    """The range of every named value over all feeds; a value that was empty in each of them has none.

    Args:
        model: any graph; it stays as it is.
        names: values that its nodes make, or its inputs.
        feeds: inputs by name, batch by batch; nothing but one batch is kept in memory.
        threads: as in `OnnxSession`.

    Raises:
        ExportError: NaN or infinity appears, no feed was given, or the graph cannot be run.
    """
    ranges: dict[str, Range] = {}
    for values in intermediate_values(model, names, feeds, threads=threads):
        for name, array in values.items():
            if array.size:
                seen = Range(float(array.min()), float(array.max()))
                ranges[name] = ranges[name].joined(seen) if name in ranges else seen
    return ranges


def intermediate_values(
    model: onnx_ir.Model, names: Sequence[str], feeds: Iterable[Feed], *, threads: int | None = None
) -> Iterator[Values]:
    """The named values of each batch, in the dtypes that the graph computes them in; finite, all of them.

    Args and errors as of `activation_ranges`.
    """
    session = OnnxSession(_with_outputs(model, names), threads)
    inputs = {str(value.name) for value in model.graph.inputs}
    makers = _makers(model)
    empty = True
    for feed in feeds:
        empty = False
        computed = session(feed, [name for name in names if name not in inputs])
        values = {name: np.asarray(feed[name]) if name in inputs else computed[name] for name in names}
        _check_finite(values, makers)
        yield values
    if empty:
        raise ExportError("calibration was given no inputs: it needs one batch at least")


def fill_in_types(model: onnx_ir.Model) -> None:
    """Give every value of the graph that has no type the one that ONNX Runtime knows, in place.

    It knows operators that ONNX's own inference does not, and so everything that comes after them.

    Raises:
        ExportError: the graph cannot be run.
    """
    untyped = {value.name: value for node in model.graph for value in node.outputs if value.name and not value.type}
    if untyped:
        types = OnnxSession(_with_outputs(model, list(untyped))).output_types
        for name, value in untyped.items():
            if (dtype := ENGINE_TYPES.get(types[name])) is not None:
                value.type = onnx_ir.TensorType(dtype)


def serialize(model: onnx_ir.Model) -> bytes:
    """The bytes of an ONNX file, weights inside.

    Raises:
        ExportError: more than the 2 GiB that one ONNX file can hold.
    """
    return to_bytes(onnx_ir.serde.serialize_model(model))


def to_bytes(proto: onnx.ModelProto) -> bytes:
    """The same of a model as ONNX's own library holds it."""
    try:
        data: bytes = proto.SerializeToString(deterministic=True)
    except Exception as error:  # protobuf's own, which differs between its implementations
        raise ExportError(f"the graph does not fit into one ONNX file, which holds 2 GiB at most: {error}") from error
    return data


def _with_outputs(model: onnx_ir.Model, names: Sequence[str]) -> bytes:
    """The graph with the named values among its outputs; the engine infers their types."""
    proto = onnx_ir.serde.serialize_model(model)
    known = {value.name for value in (*proto.graph.input, *proto.graph.output)}
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in dict.fromkeys(names) if name not in known)
    return to_bytes(proto)


def _makers(model: onnx_ir.Model) -> Mapping[str, str]:
    """What makes each value, in words."""
    return {
        str(value.name): f"{node.op_type} {node.name or value.name!r}" for node in model.graph for value in node.outputs
    }


def _check_finite(values: Values, makers: Mapping[str, str]) -> None:
    for name, array in values.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            kind = "NaN" if np.isnan(array).any() else "infinity"
            raise ExportError(
                f"calibration meets {kind} in the output {name!r} of {makers[name]}"
                if name in makers
                else f"calibration is given {kind} in the input {name!r}"
            )
