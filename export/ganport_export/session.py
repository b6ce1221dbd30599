"""Runs graphs on ONNX Runtime's CPU provider, from their bytes, and looks at the values inside them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir
from ganport_runtime.errors import one_line

from ganport_export.errors import ExportError
from ganport_export.graph import to_bytes
from ganport_export.inputs import Feed

SILENT = 4  # of its log levels: what it logs as an error it raises too, and one line is wanted


class OnnxSession:
    """A graph, ready to run: whatever its inputs and outputs are called."""

    def __init__(self, graph: bytes, threads: int | None = None) -> None:
        library = _library()
        options = library.SessionOptions()
        options.log_severity_level = SILENT
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            # With its fallback on, it tries again where it fails, and says so on stdout.
            self._session = library.InferenceSession(
                graph, options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
        except Exception as error:  # its exceptions share no base class but this one
            raise ExportError(f"onnxruntime {library.__version__} cannot run it: {one_line(str(error))}") from error

    @property
    def output_types(self) -> dict[str, str]:
        """The type of every output as ONNX Runtime writes it, such as `tensor(float)`."""
        return {output.name: output.type for output in self._session.get_outputs()}

    def __call__(self, feed: Feed, outputs: Sequence[str] | None = None) -> dict[str, npt.NDArray[Any]]:
        """The named outputs, or all of them, for one batch of inputs."""
        names = [output.name for output in self._session.get_outputs()] if outputs is None else list(outputs)
        if not names:  # which it would take for all of them
            return {}
        try:
            values = self._session.run(names, dict(feed))
        except Exception as error:
            shapes = ", ".join(f"{name} {array.dtype} {list(array.shape)}" for name, array in feed.items())
            raise ExportError(f"onnxruntime fails on {shapes}: {one_line(str(error))}") from error
        return dict(zip(names, values, strict=True))


def image_maker(graph: bytes) -> Callable[[Feed], npt.NDArray[np.uint8]]:
    """Makes a generator's images, uint8 [n, height, width, channels], of its inputs."""
    session = OnnxSession(graph)
    return lambda feed: session(feed, ("image",))["image"]


def _library() -> Any:
    try:
        return import_module("onnxruntime")
    except ModuleNotFoundError as error:
        if error.name != "onnxruntime":
            raise
        raise ExportError("graphs are run by onnxruntime, which is missing: pip install 'ganport[optimize]'") from error


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
    """The range of every named value over all feeds; a value that was empty in each of them has none."""
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
    """The named values of each batch, in the dtypes that the graph computes them in; finite, all of them."""
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
    """
    untyped = {value.name: value for node in model.graph for value in node.outputs if value.name and not value.type}
    if untyped:
        types = OnnxSession(_with_outputs(model, list(untyped))).output_types
        for name, value in untyped.items():
            if (dtype := ENGINE_TYPES.get(types[name])) is not None:
                value.type = onnx_ir.TensorType(dtype)


def _with_outputs(model: onnx_ir.Model, names: Sequence[str]) -> bytes:
    """The graph with the named values among its outputs; the engine infers their types."""
    proto = onnx_ir.serde.serialize_model(model)
    known = {value.name for value in (*proto.graph.input, *proto.graph.output)}
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in dict.fromkeys(names) if name not in known)
    return to_bytes(proto)


def _makers(model: onnx_ir.Model) -> Mapping[str, str]:
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
