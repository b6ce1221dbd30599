"""The forms that a generator's graph is written in: all compute the same, each suits other engines."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import onnx_ir

from ganport_export import passes
from ganport_export.passes.to_fused import to_fused

__all__ = ["FORMS", "Form"]


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
    "phase": Form(change=passes.to_phase, half=True, int8=("s8s8",), engines=True),
    # Written for CPUs, which gain nothing from fp16; pixels that are rounded by QuantizeLinear are not for TensorRT.
    "fused": Form(change=to_fused, half=False, int8=("u8s8",), engines=False),
}
