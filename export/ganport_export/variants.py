"""What can be made of a graph: forms and precisions, by one way for `export` and for `optimize`."""

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import onnx_ir
from ganport_runtime.differences import PSNR_LIMIT_DB
from ganport_runtime.manifest import PRECISIONS, Role, Variant

from ganport_export.engines.libraries import check_libraries
from ganport_export.errors import ExportError, Observer, QuantizeError
from ganport_export.graph import with_opset
from ganport_export.inputs import Feeds
from ganport_export.passes.graph_view import PRODUCTS, is_operator
from ganport_export.passes.to_fused import to_fused
from ganport_export.passes.to_half import KeptFloat32, to_half
from ganport_export.passes.to_phase import to_phase
from ganport_export.quantize import Quantized, quantize

DEFAULT_MIN_PSNR_DB = 35.0
REFERENCE = "fp32"
OPSET_OF_INT8 = 13  # scales for each channel


@dataclass(frozen=True)
class Form:
    """One way to write a generator's graph; all compute the same, each suits other engines."""

    change: Callable[[onnx_ir.Model], tuple[str, ...]] | None  # in place; returns a line for each node that stays
    half: bool  # whether the form is exported in fp16 too
    int8: tuple[str, ...]  # the kinds of int8 that it is exported in
    engines: bool


FORMS: Mapping[str, Form] = {
    "deconv": Form(change=None, half=True, int8=("s8s8",), engines=True),
    "phase": Form(change=to_phase, half=True, int8=("s8s8",), engines=True),
    # Written for CPUs, which gain nothing from fp16; pixels that are rounded by QuantizeLinear are not for TensorRT.
    "fused": Form(change=to_fused, half=False, int8=("u8s8",), engines=False),
}
ALL_FORMS = tuple(FORMS)


@dataclass(frozen=True)
class ExportChoices:
    """Which graphs are to be made, and how near to the reference they must come. Validated in `__post_init__`."""

    forms: tuple[str, ...] = ALL_FORMS
    precisions: tuple[str, ...] = PRECISIONS
    min_psnr: float = DEFAULT_MIN_PSNR_DB
    engines: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for what, asked, known in (("form", self.forms, ALL_FORMS), ("precision", self.precisions, PRECISIONS)):
            for name in asked:
                if name not in known:
                    raise ExportError(f"{what} {name!r} cannot be exported: choose from {', '.join(known)}")
            if not asked or len(set(asked)) < len(asked):
                raise ExportError(f"{what}s {', '.join(asked) or 'none'}: name each one that is wanted once")
        if REFERENCE not in self.precisions:
            raise ExportError(
                f"precisions {', '.join(self.precisions)}: name fp32 too, it is what the others are measured against"
            )
        if not (math.isfinite(self.min_psnr) and 0 <= self.min_psnr <= PSNR_LIMIT_DB):
            raise ExportError(f"a lowest PSNR of {self.min_psnr:g} dB is none: give 0 to {PSNR_LIMIT_DB:g}")
        check_libraries(self.engines)
        compiled = [name for name in FORMS if FORMS[name].engines]
        if self.engines and not set(self.forms) & set(compiled):
            raise ExportError(f"engines are built of the forms {', '.join(compiled)}: name one of them too")


@dataclass(frozen=True)
class Converted:
    """A graph in another precision."""

    model: onnx_ir.Model
    kept: tuple[KeptFloat32, ...] = ()  # of fp16: the nodes that stay in float32
    quantized: Quantized | None = None


def to_precision(
    model: onnx_ir.Model, precision: str, kind: str, feeds: Feeds, target_db: float, observer: Observer
) -> Converted:
    """A float32 graph in a precision; the one that is given stays as it is.

    Layers of an int8 graph go back to float until it is within `target_db` on held-out inputs. Raises `QuantizeError`
    where no product would compute in the precision.
    """
    if precision == "int8":
        newer = with_opset(model, OPSET_OF_INT8, observer)
        sets = {"calibration": feeds.calibration, "held_out": feeds.held_out}
        made = quantize(newer, kind, target_db=target_db, **sets)
        return Converted(made.model, quantized=made)
    if precision == "fp32":
        return Converted(model)
    copy = model.clone()
    kept = to_half(copy, feeds.calibration)
    if not any(is_operator(node, *PRODUCTS) and computes_in_half(node) for node in copy.graph):
        reasons = "; ".join(str(each) for each in kept if each.op_type in PRODUCTS)
        raise QuantizeError(reasons or "it has no products")
    return Converted(copy, kept)


def computes_in_half(node: onnx_ir.Node) -> bool:
    """Whether a node computes in float16; a cast between two types computes nothing."""
    return node.op_type != "Cast" and any(value.dtype == onnx_ir.DataType.FLOAT16 for value in node.outputs)


def sha256(data: bytes) -> str:
    """The digest that a manifest holds of a file."""
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class ExportedGraph:
    """A finished ONNX file, and what the manifest says of it."""

    role: Role
    form: str
    precision: str
    data: bytes = field(repr=False)
    kind: str | None = None  # of int8, `u8s8` or `s8s8`; None in other precisions
    parity: Mapping[str, Any] = field(default_factory=dict)
    fidelity: Mapping[str, Any] = field(default_factory=dict)  # figures against the reference variant
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Such as `generator-deconv-fp32` or `generator-fused-int8-u8s8`."""
        return "-".join(part for part in (self.role, self.form, self.precision, self.kind) if part)

    @property
    def variant(self) -> Variant:
        """The manifest's entry."""
        return Variant(
            id=self.id,
            role=self.role,
            file=f"{self.id}.onnx",
            sha256=sha256(self.data),
            precision=self.precision,
            form=self.form,
            parity=self.parity,
            fidelity=self.fidelity,
            details=self.details,
        )
