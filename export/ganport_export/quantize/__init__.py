"""int8 by explicit QuantizeLinear and DequantizeLinear, on `onnx_ir.Model`: free of PyTorch, for anyone's graph.

from ganport_export.quantize import quantize

quantize(model, "s8s8", calibration=feeds, held_out=others, target_db=40.0).model
"""

from ganport_export.quantize.placement import KINDS
from ganport_export.quantize.quantize import Quantized, quantize

__all__ = ["KINDS", "Quantized", "quantize"]
