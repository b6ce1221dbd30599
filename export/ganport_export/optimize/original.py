"""The graph that is to be optimized: checked, run on inputs of its own, and kept to compare results with."""

from pathlib import Path

import onnx
import onnx_ir
from ganport_runtime.text import one_line
from onnx_ir import DataType
from onnx_ir.passes import common

from ganport_export.activations import activation_ranges, to_bytes
from ganport_export.errors import ExportError, ParityError
from ganport_export.observer import Observer
from ganport_export.onnx_file import read_onnx
from ganport_export.onnx_session import OnnxSession
from ganport_export.optimize.feeds import Feeds, drawn_feeds, feeds_of_file, read_input
from ganport_export.optimize.output_differences import (
    OutputDifference,
    Outputs,
    compare_outputs,
    non_finite,
    run_batches,
)
from ganport_export.passes.inspect_nodes import infer_shapes, is_operator, label

__all__ = ["Original"]

FLOATS = (DataType.FLOAT, DataType.FLOAT16, DataType.DOUBLE)
RANDOM = ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike")


class Original:
    """An ONNX file that can be run and measured against.

    Args:
        path: of the file.
        calibration: an .npy file of inputs; None: random latents.
        observer: told of what was changed to read it.

    Attributes:
        data: its bytes, weights inside.
        model: its graph, to be changed by the caller; functions in it are inlined.
        feeds: inputs for it.

    Raises:
        ExportError: it cannot be read or run, has other inputs than one float32 [batch, ...], draws random numbers,
            or makes NaN.
    """

    def __init__(self, path: Path, calibration: Path | None, observer: Observer) -> None:
        proto = read_onnx(path)
        self.data = to_bytes(proto)
        session = _open(self.data, path)
        self.model = _graph(proto, path)
        _take_in(self.model, observer)
        _refuse_random(self.model)
        self.feeds = _feeds(self.model, calibration, observer)
        self._wanted = run_batches(session, self.feeds.measured)
        if (name := non_finite(self._wanted)) is not None:
            raise _culprit(self.model, name, self.feeds)
        graph = self.model.graph
        self._signature = [(value.name, value.dtype, value.shape) for value in (*graph.inputs, *graph.outputs)]

    def give_signature(self, made: onnx_ir.Model) -> None:
        """Give a graph made of it the sizes of inputs and outputs that it declares; names and types must be the same.

        Raises:
            ParityError: they are not.
        """
        values = (*made.graph.inputs, *made.graph.outputs)
        for value, (name, dtype, shape) in zip(values, self._signature, strict=True):
            if value.name != name or dtype not in (value.dtype, None):
                raise ParityError(f"the result has {value.name!r} of {value.dtype} where {name!r} of {dtype} is wanted")
            value.shape = shape

    def compare(self, data: bytes) -> tuple[OutputDifference, ...]:
        """Run the result on the same inputs, and compare every output.

        Raises:
            ParityError: it cannot be run, or makes NaN or infinity.
        """
        try:
            made: Outputs = run_batches(OnnxSession(data), self.feeds.measured)
        except ExportError as error:
            raise ParityError(f"the result cannot be run: {error}; nothing was written") from error
        if (name := non_finite(made)) is not None:
            raise ParityError(f"the result makes NaN or infinity in the output {name!r}; nothing was written")
        sizes = [len(next(iter(feed.values()))) for feed in self.feeds.measured]
        return compare_outputs(self._wanted, made, sizes)


def _open(data: bytes, path: Path) -> OnnxSession:
    try:
        return OnnxSession(data)
    except ExportError as error:
        raise ExportError(f"{path} is not optimized, since no result could be measured against it: {error}") from error


def _graph(proto: onnx.ModelProto, path: Path) -> onnx_ir.Model:
    try:
        model = onnx_ir.serde.deserialize_model(proto)
        onnx_ir.serde.serialize_model(model)  # names are not looked at before
        return model
    except Exception as error:  # whatever a damaged part of the file makes of it
        raise ExportError(f"{path} is damaged, or uses what is not known here: {one_line(str(error))}") from error


def _take_in(model: onnx_ir.Model, observer: Observer) -> None:
    """Make constants of weights that are listed as inputs too, and nodes of functions, in place."""
    weights = [str(value.name) for value in model.graph.inputs if value.const_value is not None]
    if weights:
        observer(f"inputs that have a value already become constants: {', '.join(weights)}")
        common.RemoveInitializersFromInputsPass()(model)
        model.ir_version = max(model.ir_version, 4)  # the first that lets weights be no inputs
    if model.functions:
        common.InlinePass()(model)


def _refuse_random(model: onnx_ir.Model) -> None:
    for node in model.graph.all_nodes():
        if is_operator(node, *RANDOM):
            drawn = f"the graph draws random numbers (node {node.op_type} {label(node)!r})"
            raise ExportError(f"{drawn}, no result can be compared with it")


def _feeds(model: onnx_ir.Model, calibration: Path | None, observer: Observer) -> Feeds:
    of = read_input(model)
    feeds = drawn_feeds(of) if calibration is None else feeds_of_file(calibration, of)
    if feeds.shared:
        observer(f"{feeds.source} are few: the same ones serve to calibrate and to measure")
    return feeds


def _culprit(model: onnx_ir.Model, output: str, feeds: Feeds) -> ExportError:
    """What to say of a graph that makes NaN: where it first appears, as far as that can be seen."""
    infer_shapes(model)
    names = [str(value.name) for node in model.graph for value in node.outputs if value.dtype in FLOATS]
    try:
        activation_ranges(model, names, feeds.measured)
    except ExportError as error:
        return ExportError(f"{error}, on {feeds.source}: nothing can be measured against that")
    return ExportError(f"the output {output!r} holds NaN or infinity on {feeds.source}: nothing can be measured")
