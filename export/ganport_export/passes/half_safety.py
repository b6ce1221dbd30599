"""Says of each node why it may not compute in float16: for its values, its constants, its operator or its place."""

from collections.abc import Iterator, Mapping

import numpy as np
import onnx_ir
from onnx_ir import DataType

from ganport_export.activations import Range
from ganport_export.passes.half_types import ANY_TYPE, half_types
from ganport_export.passes.inspect_nodes import constant_array, is_operator, opset_version
from ganport_export.passes.pixel_edges import pixel_nodes

__all__ = ["LARGEST", "unsafe_nodes"]

LARGEST = float(np.finfo(np.float16).max)
SMALLEST = float(np.finfo(np.float16).smallest_normal)
MARGIN = 4  # over the smallest: where the largest value is that low, most others lose their digits

QUANTIZATION = ("QuantizeLinear", "DequantizeLinear")
SUMS = (
    "CumSum", "GroupNormalization", "InstanceNormalization", "LayerNormalization", "LogSoftmax", "LpNormalization",
    "MeanVarianceNormalization", "ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceMean", "ReduceSum",
    "ReduceSumSquare", "RMSNormalization", "Softmax",
)  # fmt: skip


def unsafe_nodes(model: onnx_ir.Model, ranges: Mapping[str, Range], limit: float) -> dict[onnx_ir.Node, str]:
    """The nodes that have to stay in float32, and why.

    Args:
        model: every value has a type, as far as it is known.
        ranges: of the values that its nodes make, by name.
        limit: the largest absolute value that is to be in float16.
    """
    pixels, opset = pixel_nodes(model), opset_version(model)
    found = {}
    for node in model.graph:
        if is_operator(node, *ANY_TYPE) or not any(value.dtype == DataType.FLOAT for value in _values(node)):
            continue
        reason = (
            _of_its_place(node, pixels)
            or _of_its_operator(node, opset)
            or _of_constants(node, limit)
            or _of_values(node, ranges, limit)
        )
        if reason is not None:
            found[node] = reason
    return found


def _of_its_place(node: onnx_ir.Node, pixels: frozenset[onnx_ir.Node]) -> str | None:
    if node in pixels:
        return "it scales, rounds or moves pixels, which are integers up to 255"
    if any(use.graph is not node.graph for value in node.outputs for use in value.consumers()):
        return "a subgraph reads it"
    if any(value.dtype is None and value.name for value in _values(node)):
        return "the type of what it reads or makes is not known"
    return None


def _of_its_operator(node: onnx_ir.Node, opset: int) -> str | None:
    if is_operator(node, *QUANTIZATION):
        return "the scales of quantized values are float32"
    if is_operator(node, *SUMS):
        return "it sums over many values"
    if any(attribute.type.name in ("GRAPH", "GRAPHS") for attribute in node.attributes.values()):
        return "it holds a subgraph"
    return "its types do not include float16" if half_types(node, opset) is None else None


def _of_constants(node: onnx_ir.Node, limit: float) -> str | None:
    for value in node.inputs:
        array = constant_array(value)
        if value is None or array is None or value.dtype != DataType.FLOAT or not array.size:
            continue
        largest = float(np.abs(array).max())
        if not largest <= limit:  # NaN is not
            return f"its constant {value.name!r} reaches {largest:.4g}, and float16 ends at {LARGEST:g}"
        if 0 < largest < SMALLEST:
            return f"its constant {value.name!r} of {largest:.2g} vanishes in float16"
    return None


def _of_values(node: onnx_ir.Node, ranges: Mapping[str, Range], limit: float) -> str | None:
    for value in _values(node):
        seen = ranges.get(str(value.name))
        if seen is None:
            continue
        what = "what it makes" if value in node.outputs else "what it reads"
        if seen.largest > limit:
            return f"{what} reaches {seen.largest:.4g}, and float16 ends at {LARGEST:g}"
        if 0 < seen.largest < SMALLEST * MARGIN:
            return f"{what} is {seen.largest:.2g} at most, and vanishes in float16"
    return None


def _values(node: onnx_ir.Node) -> Iterator[onnx_ir.Value]:
    return (value for value in (*node.inputs, *node.outputs) if value is not None)
