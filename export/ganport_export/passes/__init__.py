"""ONNX model in, ONNX model out: small passes over `onnx_ir.Model`, all in place and free of PyTorch."""

from ganport_export.passes.activation_before_interleave import activation_before_interleave
from ganport_export.passes.fold_batch_norm import fold_batch_norm
from ganport_export.passes.name_plainly import name_plainly
from ganport_export.passes.simplify import simplify
from ganport_export.passes.to_half import to_half
from ganport_export.passes.to_phase import to_phase

__all__ = ["activation_before_interleave", "fold_batch_norm", "name_plainly", "simplify", "to_half", "to_phase"]
