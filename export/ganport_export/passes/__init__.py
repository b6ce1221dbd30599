"""ONNX model in, ONNX model out: small passes over `onnx_ir.Model`, all in place and free of PyTorch."""

from ganport_export.passes.fold_batch_norm import fold_batch_norm
from ganport_export.passes.name_plainly import name_plainly
from ganport_export.passes.simplify import simplify

__all__ = ["fold_batch_norm", "name_plainly", "simplify"]
