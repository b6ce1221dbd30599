"""What can be made of a generator: forms, precisions, and the finished graph of each."""

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import onnx_ir
from ganport_runtime.differences import PSNR_LIMIT_DB
from ganport_runtime.entries import PRECISIONS
from ganport_runtime.manifest import Role, Variant

from ganport_export.engines import check_libraries
from ganport_export.errors import ExportError
from ganport_export.passes.to_fused import to_fused
from ganport_export.passes.to_phase import to_phase


@dataclass(frozen=True)
class Form:
    """One way to write a graph.

    Args:
        change: puts a graph into this form, in place, and returns a line for each node that stays as it is; None: it
            is the network as trained.
        half: whether the form is made in fp16 too.
        int8: the kinds of int8 that it is made in.
        engines: whether TensorRT engines are built of it.
    """

    change: Callable[[onnx_ir.Model], tuple[str, ...]] | None
    half: bool
    int8: tuple[str, ...]
    engines: bool


FORMS: Mapping[str, Form] = {
    "deconv": Form(change=None, half=True, int8=("s8s8",), engines=True),
    "phase": Form(change=to_phase, half=True, int8=("s8s8",), engines=True),
    # Written for CPUs, which gain nothing from fp16; pixels that are rounded by QuantizeLinear are not for TensorRT.
    "fused": Form(change=to_fused, half=False, int8=("u8s8",), engines=False),
}


ALL_FORMS = tuple(FORMS)
DEFAULT_MIN_PSNR_DB = 35.0
REFERENCE = "fp32"


@dataclass(frozen=True)
class Choices:
    """Which graphs are to be made, and how near to the reference they must come. A value that exists can be tried.

    Args:
        forms: of `ALL_FORMS`, in any order.
        precisions: of `PRECISIONS`, fp32 among them: it is what the others are measured against.
        min_psnr: the lowest mean PSNR in dB, 0 to 100, with which a variant is shipped.
        engines: libraries to build engines with.

    Raises:
        ExportError: anything unknown, named twice, out of range or missing.
    """

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
        compiled = [name for name in ALL_FORMS if FORMS[name].engines]
        if self.engines and not set(self.forms) & set(compiled):
            raise ExportError(f"engines are built of the forms {', '.join(compiled)}: name one of them too")


@dataclass(frozen=True)
class Graph:
    """A finished ONNX file.

    Args:
        role: `generator` or `discriminator`.
        form: how the graph is written.
        precision: what it computes in.
        data: the file.
        kind: of int8, `u8s8` or `s8s8`; None in other precisions.
        parity: figures against the network in float64.
        fidelity: figures against the reference variant.
        details: how it was made, for the manifest.
    """

    role: Role
    form: str
    precision: str
    data: bytes = field(repr=False)
    kind: str | None = None
    parity: Mapping[str, Any] = field(default_factory=dict)
    fidelity: Mapping[str, Any] = field(default_factory=dict)
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
            sha256=hashlib.sha256(self.data).hexdigest(),
            precision=self.precision,
            form=self.form,
            parity=self.parity,
            fidelity=self.fidelity,
            details=self.details,
        )
