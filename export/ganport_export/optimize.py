"""From one ONNX file to a faster one: read, transformed, measured against the original, and written if it is near.

from ganport_export.optimize import optimize

optimize(Path("generator.onnx"), Path("fast.onnx"), form="phase", precision="fp16")
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir
from ganport_runtime.differences import PSNR_LIMIT_DB
from ganport_runtime.entries import PRECISIONS
from ganport_runtime.text import one_line
from onnx_ir import DataType
from onnx_ir.passes import common

from ganport_export.errors import ExportError, Observer, ParityError, QuantizeError, log
from ganport_export.graph import check_onnx_output, read_onnx, serialize, to_bytes, with_opset, write_onnx
from ganport_export.inputs import Feed, Feeds, drawn_feeds, feeds_of_file, read_input
from ganport_export.passes.fold_batch_norm import fold_batch_norm
from ganport_export.passes.graph_view import infer_shapes, is_operator, label
from ganport_export.passes.to_half import to_half
from ganport_export.quantize import KINDS, quantize
from ganport_export.session import OnnxSession, activation_ranges
from ganport_export.variants import DEFAULT_MIN_PSNR_DB, FORMS

PIXEL_PEAK = 255.0

Array = npt.NDArray[Any]
Outputs = Mapping[str, Sequence[Array]]  # of every batch


@dataclass(frozen=True)
class OutputDifference:
    """One output beside the original's.

    Args:
        name: of the output.
        psnr_db_mean: mean of the samples' own peak signal-to-noise ratios, each 100 dB at most.
        psnr_db_worst: the lowest of them.
        largest_difference: of any value.
        peak: what the ratio's signal is: 255 for uint8, else the span of the original's values, highest less lowest.
        samples: how many were compared.
    """

    name: str
    psnr_db_mean: float
    psnr_db_worst: float
    largest_difference: float
    peak: float
    samples: int

    def to_json(self) -> dict[str, Any]:
        """The figures by name."""
        return asdict(self)

    def __str__(self) -> str:
        """One line."""
        of = "255" if self.peak == PIXEL_PEAK else f"the output's range of {self.peak:.4g}"
        return (
            f"{self.name}: PSNR mean {self.psnr_db_mean:.1f} dB, worst {self.psnr_db_worst:.1f} dB relative to {of}; "
            f"largest difference {self.largest_difference:.4g}, over {self.samples} samples"
        )


def run_batches(session: OnnxSession, feeds: Sequence[Feed]) -> Outputs:
    """Every output of every batch.

    Raises:
        ExportError: an output is not a tensor of numbers.
    """
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


def compare_outputs(original: Outputs, made: Outputs, batch_sizes: Sequence[int]) -> tuple[OutputDifference, ...]:
    """Every output beside the original's.

    Args:
        original: its outputs, batch by batch.
        made: the other graph's for the same inputs.
        batch_sizes: inputs in each batch; an output whose first size is another counts as one sample a batch.

    Raises:
        ExportError: another type or shape.
    """
    return tuple(_compare(name, original[name], made[name], batch_sizes) for name in original)


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
    noise = np.maximum(np.concatenate([*squares, np.zeros(0)]), peak**2 / 10 ** (PSNR_LIMIT_DB / 10))
    psnr_db = 10 * np.log10(peak**2 / noise) if noise.size else np.array([PSNR_LIMIT_DB])
    return OutputDifference(name, float(psnr_db.mean()), float(psnr_db.min()), largest, peak, noise.size)


def _peak(arrays: Sequence[Array]) -> float:
    """The signal of the ratio; of an output that is always one value, that value, or 1 where it is 0."""
    filled = [array for array in arrays if array.size]
    if not filled:
        return 1.0
    if arrays[0].dtype == np.uint8:
        return PIXEL_PEAK
    highest, lowest = (float(max(array.max() for array in filled)), float(min(array.min() for array in filled)))
    return highest - lowest or abs(highest) or 1.0


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


OPSET_OF_INT8 = 13  # scales for each channel
MARGIN_DB = 1.0  # over the floor: other inputs than the held-out ones decide in the end
TARGET_DB = 40.0  # of int8 where the floor is low: layers go back to float until it is reached
LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
KEEP = "nothing was written: choose another --precision, --kind or --form"


@dataclass
class Transforms:
    """What is wanted of a graph, and what became of it.

    Attributes:
        form: one of `forms.FORMS`.
        precision: fp32, fp16 or int8.
        kind: of int8.
        min_psnr_db: what int8 has to reach, with a margin.
        observer: told of each node that stays as it is, and why.
        treated: how many nodes of which sort were changed.
        form_changed: whether the form changed any node at all.
        quantization: how the int8 graph came about.
    """

    form: str
    precision: str
    kind: str
    min_psnr_db: float
    observer: Observer
    treated: dict[str, int] = field(default_factory=dict)
    form_changed: bool = False
    quantization: Mapping[str, Any] | None = None

    @property
    def changed(self) -> bool:
        """Whether the graph is another one now."""
        return self.form_changed or any(self.treated.values())

    def apply(self, model: onnx_ir.Model, feeds: Feeds) -> onnx_ir.Model:
        """The graph as wanted, as far as it can be; the one that is given is used up.

        Raises:
            QuantizeError: int8 is wanted, and no layer would be in it.
            ExportError: fp16 is wanted, and no product would be in it.
        """
        self._fold(model)
        self._to_form(model)
        if self.precision == "fp16":
            self._say(to_half(model, feeds.calibration))
            self.treated["nodes_in_float16"] = sum(map(_makes_half, model.graph))
            if not any(is_operator(node, *LAYERS) and _makes_half(node) for node in model.graph):
                raise ExportError(
                    f"no {', '.join(LAYERS)} would compute in float16, so that nothing gets faster; {KEEP}"
                )
        return self._quantize(model, feeds) if self.precision == "int8" else model

    def _fold(self, model: onnx_ir.Model) -> None:
        norms = _count(model, "BatchNormalization")
        if norms:
            self._say(fold_batch_norm(model))
            self.treated["batch_norms_folded"] = norms - _count(model, "BatchNormalization")

    def _to_form(self, model: onnx_ir.Model) -> None:
        change = FORMS[self.form].change
        if change is None:
            return
        deconvolutions, before = _count(model, "ConvTranspose"), _operators(model)
        if not deconvolutions:
            self.observer("the graph holds no transposed convolution outside of subgraphs")
        self._say(change(model))
        self.treated["transposed_convolutions_replaced"] = deconvolutions - _count(model, "ConvTranspose")
        self.form_changed = _operators(model) != before

    def _quantize(self, model: onnx_ir.Model, feeds: Feeds) -> onnx_ir.Model:
        target_db = max(TARGET_DB, self.min_psnr_db + MARGIN_DB)
        sets = {"calibration": feeds.calibration, "held_out": feeds.held_out}
        try:
            made = quantize(with_opset(model, OPSET_OF_INT8, self.observer), self.kind, target_db=target_db, **sets)
        except QuantizeError as error:
            raise QuantizeError(f"{error}; {KEEP}") from error
        layers = [node for node in made.model.graph if is_operator(node, *LAYERS)]
        for node in layers:
            if not _is_int8(node):
                measured = node.name in made.kept_float
                reason = "int8 made too large an error there" if measured else f"{self.kind} does not treat such a one"
                self.observer(f"{node.op_type} {label(node)!r} stays in float: {reason}")
        self.treated["layers_in_int8"] = sum(map(_is_int8, layers))
        if not self.treated["layers_in_int8"]:
            raise QuantizeError(
                f"every layer would stay in float to reach {target_db:g} dB; {KEEP}, or a lower --min-psnr"
            )
        self.quantization = made.to_json()
        return made.model

    def _say(self, lines: tuple[object, ...]) -> None:
        for line in lines:
            self.observer(str(line))


def _count(model: onnx_ir.Model, op_type: str) -> int:
    return sum(is_operator(node, op_type) for node in model.graph)


def _operators(model: onnx_ir.Model) -> Counter[str]:
    return Counter(node.op_type for node in model.graph)


def _makes_half(node: onnx_ir.Node) -> bool:
    """Whether a node computes in float16; a cast between two types computes nothing."""
    return node.op_type != "Cast" and any(value.dtype == onnx_ir.DataType.FLOAT16 for value in node.outputs)


def _is_int8(layer: onnx_ir.Node) -> bool:
    weight = layer.inputs[1]
    producer = None if weight is None else weight.producer()
    return producer is not None and is_operator(producer, "DequantizeLinear")


SAME_DB = 60.0  # forms compute the same but for the order of sums, which no float32 result shows more than this


@dataclass(frozen=True)
class Optimized:
    """What became of a file.

    Args:
        changed: whether the graph that was written is another one.
        treated: how many nodes of which sort were changed.
        left: one line for each node that stays as it is, and for what else there is to know.
        outputs: every output beside the original's.
        inputs: what they were compared on, in words.
        quantization: how the int8 graph came about, where one was made.
    """

    changed: bool
    treated: Mapping[str, int]
    left: tuple[str, ...]
    outputs: tuple[OutputDifference, ...]
    inputs: str
    quantization: Mapping[str, Any] | None

    @property
    def psnr_db(self) -> float:
        """The lowest of the outputs' mean PSNRs."""
        return min(output.psnr_db_mean for output in self.outputs)

    def to_json(self) -> dict[str, Any]:
        """The figures by name."""
        return {
            "changed": self.changed,
            "treated": dict(self.treated),
            "left": list(self.left),
            "inputs": self.inputs,
            "psnr_db": self.psnr_db,
            "outputs": [output.to_json() for output in self.outputs],
            "quantization": None if self.quantization is None else dict(self.quantization),
        }


def optimize(
    source: Path,
    out: Path,
    *,
    form: str = "deconv",
    precision: str = "fp32",
    kind: str = KINDS[0],
    min_psnr_db: float = DEFAULT_MIN_PSNR_DB,
    calibration: Path | None = None,
    overwrite: bool = False,
    observer: Observer = log,
) -> Optimized:
    """Write a faster file of a generator's ONNX file, whose inputs and outputs stay what they are.

    Args:
        source: any network of one float32 input [batch, ...].
        out: the file to write; where nothing can be treated it is the source's graph.
        form: one of `forms.FORMS`.
        precision: fp32, fp16 or int8.
        kind: of int8, one of `quantize.KINDS`.
        min_psnr_db: the lowest mean PSNR of an output, against the source's, at which a file is written.
        calibration: an .npy file of inputs to use; None: random latents.
        overwrite: whether `out` may be replaced.
        observer: told of each node that stays as it is, and why.

    Raises:
        ExportError: a file that cannot be read, run, measured or written, or a result under the floor.
    """
    _check_choices(form, precision, kind)
    check_onnx_output(out, source, overwrite=overwrite)
    notes = _Notes(observer)
    original = Original(source, calibration, notes)
    result, data = _transformed(original, Transforms(form, precision, kind, min_psnr_db, notes), notes)
    if precision == "fp32":
        _check_form(result, form, source)
    _check_floor(result, min_psnr_db, source)
    write_onnx(out, data)
    return result


class _Notes:
    """An observer that remembers what another one is told."""

    def __init__(self, observer: Observer) -> None:
        self.lines: list[str] = []
        self._observer = observer

    def __call__(self, line: str) -> None:
        self.lines.append(line)
        self._observer(line)


def _transformed(original: Original, transforms: Transforms, notes: _Notes) -> tuple[Optimized, bytes]:
    """The result, measured, and the bytes of its file."""
    made = transforms.apply(original.model, original.feeds)
    original.give_signature(made)
    data = serialize(made) if transforms.changed else original.data
    result = Optimized(
        changed=transforms.changed,
        treated=transforms.treated,
        left=tuple(notes.lines),
        outputs=original.compare(data),
        inputs=original.feeds.source,
        quantization=transforms.quantization,
    )
    return result, data


def _check_choices(form: str, precision: str, kind: str) -> None:
    for what, given, known in (("form", form, FORMS), ("precision", precision, PRECISIONS), ("kind", kind, KINDS)):
        if given not in known:
            raise ExportError(f"{what} {given!r} is unknown: choose from {', '.join(known)}")


def _worst(result: Optimized) -> OutputDifference:
    return min(result.outputs, key=lambda output: output.psnr_db_mean)


def _check_form(result: Optimized, form: str, source: Path) -> None:
    worst = _worst(result)
    if not worst.psnr_db_mean >= SAME_DB:
        raise ParityError(
            f"form {form} changed the result of {source}: {worst}, under {SAME_DB:g} dB, whatever --min-psnr is; "
            "nothing was written: choose another form"
        )


def _check_floor(result: Optimized, min_psnr_db: float, source: Path) -> None:
    worst = _worst(result)
    if not worst.psnr_db_mean >= min_psnr_db:
        raise ParityError(
            f"the result is too far from {source}: {worst}, and --min-psnr is {min_psnr_db:g} dB; nothing was written: "
            "choose another precision or kind, or a lower --min-psnr"
        )
