"""The file that is optimized: checked, run on inputs of its own, and kept to measure results against."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir
from ganport_runtime.differences import PSNR_LIMIT_DB, psnr_db
from ganport_runtime.errors import one_line
from onnx_ir import DataType
from onnx_ir.passes import common

from ganport_export.errors import ExportError, Observer, ParityError
from ganport_export.graph import read_onnx, to_bytes
from ganport_export.inputs import Feed, Feeds, drawn_feeds, feeds_of_file, read_input, rows_of
from ganport_export.passes.graph_view import draws_numbers, infer_shapes, label
from ganport_export.session import OnnxSession, activation_ranges

FLOATS = (DataType.FLOAT, DataType.FLOAT16, DataType.DOUBLE)
PIXEL_PEAK = 255.0

Array = npt.NDArray[Any]
Outputs = Mapping[str, Sequence[Array]]  # of every batch


@dataclass(frozen=True)
class OutputDifference:
    """One output beside the original's."""

    name: str
    psnr_db_mean: float  # mean of the samples' own peak signal-to-noise ratios, each 100 dB at most
    psnr_db_worst: float  # the lowest of them
    largest_difference: float  # of any value
    peak: float  # the signal: 255 for uint8, else the span of the original's values
    samples: int

    def __str__(self) -> str:
        of = "255" if self.peak == PIXEL_PEAK else f"the output's range of {self.peak:.4g}"
        return (
            f"{self.name}: PSNR mean {self.psnr_db_mean:.1f} dB, worst {self.psnr_db_worst:.1f} dB relative to {of}; "
            f"largest difference {self.largest_difference:.4g}, over {self.samples} samples"
        )


def run_batches(session: OnnxSession, feeds: Sequence[Feed]) -> Outputs:
    """Every output of every batch."""
    made: dict[str, list[Array]] = {}
    for feed in feeds:
        for name, array in session(feed).items():
            if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiub":
                raise ExportError(f"the output {name!r} is no tensor of numbers, so that it cannot be measured")
            made.setdefault(name, []).append(array)
    return made


def non_finite(outputs: Outputs) -> str | None:
    """The name of an output that holds NaN or infinity, or None."""
    return next((name for name, arrays in outputs.items() if not all(np.isfinite(a).all() for a in arrays)), None)


def _compare(name: str, original: Sequence[Array], made: Sequence[Array], sizes: Sequence[int]) -> OutputDifference:
    peak = _peak(original)
    squares, largest = [], 0.0
    for wanted, array, size in zip(original, made, sizes, strict=True):
        if wanted.dtype != array.dtype or wanted.shape != array.shape:
            shown = f"{array.dtype} {list(array.shape)}, the original's is {wanted.dtype} {list(wanted.shape)}"
            raise ExportError(f"the output {name!r} of the result is {shown}")
        difference = np.abs(array.astype(np.float64) - wanted)
        samples = size if wanted.ndim and len(wanted) == size else 1
        if difference.size:
            squares.append(np.square(difference).reshape(samples, -1).mean(axis=1))
            largest = max(largest, float(difference.max()))
    found = psnr_db(np.concatenate(squares), peak) if squares else np.array([PSNR_LIMIT_DB])
    return OutputDifference(name, float(found.mean()), float(found.min()), largest, peak, sum(map(len, squares)))


def _peak(arrays: Sequence[Array]) -> float:
    """The signal of the ratio; of an output that is always one value, that value, or 1 where it is 0."""
    filled = [array for array in arrays if array.size]
    if not filled:
        return 1.0
    if arrays[0].dtype == np.uint8:
        return PIXEL_PEAK
    highest, lowest = (float(max(array.max() for array in filled)), float(min(array.min() for array in filled)))
    return highest - lowest or abs(highest) or 1.0


class Original:
    """An ONNX file that can be run and measured against; `model` is to be changed by the caller."""

    def __init__(self, path: Path, calibration: Path | None, observer: Observer) -> None:
        proto = read_onnx(path)
        self.data = to_bytes(proto)
        session = _open(self.data, path)
        self.model = _graph(proto, path)
        _take_in(self.model, observer)
        if (node := draws_numbers(self.model)) is not None:
            drawn = f"the graph draws random numbers (node {node.op_type} {label(node)!r})"
            raise ExportError(f"{drawn}, no result can be compared with it")
        self.feeds = _feeds(self.model, calibration, observer)
        self._wanted = run_batches(session, self.feeds.measured)
        if (name := non_finite(self._wanted)) is not None:
            raise _culprit(self.model, name, self.feeds)
        graph = self.model.graph
        self._signature = [(value.name, value.dtype, value.shape) for value in (*graph.inputs, *graph.outputs)]

    def give_signature(self, made: onnx_ir.Model) -> None:
        """Give a graph made of it the declared sizes of inputs and outputs; names and types must be the same."""
        values = (*made.graph.inputs, *made.graph.outputs)
        for value, (name, dtype, shape) in zip(values, self._signature, strict=True):
            if value.name != name or dtype not in (value.dtype, None):
                raise ParityError(f"the result has {value.name!r} of {value.dtype} where {name!r} of {dtype} is wanted")
            value.shape = shape

    def compare(self, data: bytes) -> tuple[OutputDifference, ...]:
        """Run the result on the same inputs, and compare every output."""
        try:
            made: Outputs = run_batches(OnnxSession(data), self.feeds.measured)
        except ExportError as error:
            raise ParityError(f"the result cannot be run: {error}; nothing was written") from error
        if (name := non_finite(made)) is not None:
            raise ParityError(f"the result makes NaN or infinity in the output {name!r}; nothing was written")
        sizes = [rows_of(feed) for feed in self.feeds.measured]
        return tuple(_compare(name, wanted, made[name], sizes) for name, wanted in self._wanted.items())


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
