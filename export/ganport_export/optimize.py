"""From one ONNX file to a faster one: read, transformed, measured against the original, and written if it is near.

from ganport_export.optimize import optimize

optimize(Path("generator.onnx"), Path("fast.onnx"), form="phase", precision="fp16")
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import onnx_ir
from ganport_runtime.manifest import PRECISIONS

from ganport_export.errors import ExportError, Observer, ParityError, QuantizeError, log
from ganport_export.graph import check_onnx_output, to_bytes, write_onnx
from ganport_export.original import Original, OutputDifference
from ganport_export.passes.fold_batch_norm import fold_batch_norm
from ganport_export.passes.graph_view import PRODUCTS, is_operator, label
from ganport_export.quantize import KINDS, Quantized
from ganport_export.variants import DEFAULT_MIN_PSNR_DB, FORMS, Converted, computes_in_half, to_precision

SAME_DB = 60.0  # forms compute the same but for the order of sums, which no float32 result shows more than this
MARGIN_DB = 1.0  # over the floor: other inputs than the held-out ones decide in the end
TARGET_DB = 40.0  # of int8 where the floor is low: layers go back to float until it is reached
KEEP = "nothing was written: choose another --precision, --kind or --form"


@dataclass(frozen=True)
class Optimized:
    """What became of a file."""

    changed: bool
    treated: Mapping[str, int]
    left: tuple[str, ...]  # one line for each node that stays as it is, and for what else there is to know
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
            "outputs": list(map(asdict, self.outputs)),
            "quantization": None if self.quantization is None else dict(self.quantization),
        }


def optimize(
    source: Path,  # any network of one float32 input [batch, ...]
    out: Path,
    *,
    form: str = "deconv",  # one of `FORMS`
    precision: str = "fp32",  # fp32, fp16 or int8
    kind: str = KINDS[0],  # of int8, one of `quantize.KINDS`
    min_psnr_db: float = DEFAULT_MIN_PSNR_DB,  # the lowest mean PSNR of an output at which a file is written
    calibration: Path | None = None,  # an .npy file of inputs to use; None: random latents
    overwrite: bool = False,
    observer: Observer = log,
) -> Optimized:
    """Write a faster file of a generator's ONNX file, whose inputs and outputs stay what they are.

    Raises `ExportError` for a file that cannot be read, run, measured or written, and for a result under the floor.
    """
    for what, given, known in (("form", form, FORMS), ("precision", precision, PRECISIONS), ("kind", kind, KINDS)):
        if given not in known:
            raise ExportError(f"{what} {given!r} is unknown: choose from {', '.join(known)}")
    check_onnx_output(out, source, overwrite=overwrite)
    notes: list[str] = []

    def tell(line: str) -> None:
        notes.append(line)
        observer(line)

    original = Original(source, calibration, tell)
    treated, form_changed = _to_form(original.model, form, tell)
    made = _to_precision(original, precision, kind, max(TARGET_DB, min_psnr_db + MARGIN_DB), treated, tell)
    original.give_signature(made.model)
    changed = form_changed or any(treated.values())
    data = to_bytes(made.model) if changed else original.data
    result = Optimized(
        changed=changed,
        treated=treated,
        left=tuple(notes),
        outputs=original.compare(data),
        inputs=original.feeds.source,
        quantization=None if made.quantized is None else made.quantized.to_json(),
    )
    _check_figures(result, form, precision, min_psnr_db, source)
    write_onnx(out, data)
    return result


def _to_form(model: onnx_ir.Model, form: str, observer: Observer) -> tuple[dict[str, int], bool]:
    """Fold batch norms and put a graph into a form, in place; how many nodes were treated, and whether the form did."""
    treated: dict[str, int] = {}
    if norms := _count(model, "BatchNormalization"):
        for line in fold_batch_norm(model):
            observer(line)
        treated["batch_norms_folded"] = norms - _count(model, "BatchNormalization")
    change = FORMS[form].change
    if change is None:
        return treated, False
    deconvolutions, before = _count(model, "ConvTranspose"), Counter(node.op_type for node in model.graph)
    if not deconvolutions:
        observer("the graph holds no transposed convolution outside of subgraphs")
    for line in change(model):
        observer(line)
    treated["transposed_convolutions_replaced"] = deconvolutions - _count(model, "ConvTranspose")
    return treated, Counter(node.op_type for node in model.graph) != before


def _to_precision(
    original: Original, precision: str, kind: str, target_db: float, treated: dict[str, int], observer: Observer
) -> Converted:
    """The original's graph, which has its form, in a precision; `treated` gets how many nodes that changed."""
    try:
        made = to_precision(original.model, precision, kind, original.feeds, target_db, observer)
    except QuantizeError as error:
        if precision == "int8":
            raise QuantizeError(f"{error}; {KEEP}") from error
        products = ", ".join(PRODUCTS)
        raise QuantizeError(
            f"no {products} would compute in float16, so that nothing gets faster ({error}); {KEEP}"
        ) from error
    for each in made.kept:
        observer(str(each))
    if precision == "fp16":
        treated["nodes_in_float16"] = sum(map(computes_in_half, made.model.graph))
    if made.quantized is not None:
        treated["layers_in_int8"] = _name_floats(made.model, kind, made.quantized, observer)
    return made


def _name_floats(model: onnx_ir.Model, kind: str, made: Quantized, observer: Observer) -> int:
    """Tell of each product that stays in float, and why; how many are in int8."""
    products = [node for node in model.graph if is_operator(node, *PRODUCTS)]
    left = [node for node in products if not _is_int8(node)]
    for node in left:
        measured = node.name in made.kept_float
        reason = "int8 made too large an error there" if measured else f"{kind} does not treat such a one"
        observer(f"{node.op_type} {label(node)!r} stays in float: {reason}")
    return len(products) - len(left)


def _is_int8(layer: onnx_ir.Node) -> bool:
    weight = layer.inputs[1]
    producer = None if weight is None else weight.producer()
    return producer is not None and is_operator(producer, "DequantizeLinear")


def _count(model: onnx_ir.Model, op_type: str) -> int:
    return sum(is_operator(node, op_type) for node in model.graph)


def _check_figures(result: Optimized, form: str, precision: str, min_psnr_db: float, source: Path) -> None:
    worst = min(result.outputs, key=lambda output: output.psnr_db_mean)
    if precision == "fp32" and not worst.psnr_db_mean >= SAME_DB:
        raise ParityError(
            f"form {form} changed the result of {source}: {worst}, under {SAME_DB:g} dB, whatever --min-psnr is; "
            "nothing was written: choose another form"
        )
    if not worst.psnr_db_mean >= min_psnr_db:
        raise ParityError(
            f"the result is too far from {source}: {worst}, and --min-psnr is {min_psnr_db:g} dB; nothing was written: "
            "choose another precision or kind, or a lower --min-psnr"
        )
