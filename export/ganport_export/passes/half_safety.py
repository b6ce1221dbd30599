"""Says of each node why it may not compute in float16: for its values, its constants, its operator or its place."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx.defs
import onnx_ir
from onnx_ir import DataType

from ganport_export.passes.graph_view import (
    MOVES,
    ONNX_DOMAINS,
    computed_inputs,
    constant_array,
    is_operator,
    opset_version,
)
from ganport_export.session import Range

Formal = onnx.defs.OpSchema.FormalParameter

LARGEST = float(np.finfo(np.float16).max)
SMALLEST = float(np.finfo(np.float16).smallest_normal)
MARGIN = 4  # over the smallest: where the largest value is that low, most others lose their digits

QUANTIZATION = ("QuantizeLinear", "DequantizeLinear")
SUMS = (
    "CumSum", "GroupNormalization", "InstanceNormalization", "LayerNormalization", "LogSoftmax", "LpNormalization",
    "MeanVarianceNormalization", "ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceMean", "ReduceSum",
    "ReduceSumSquare", "RMSNormalization", "Softmax",
)  # fmt: skip
ARITHMETIC = ("Add", "Sub", "Mul", "Div", "Round", "Floor", "Ceil", "Clip", "Min", "Max", "Cast")
ANY_TYPE = ("Shape", "Size")  # they look at no value
BOTH = {"tensor(float16)", "tensor(float)"}


@dataclass(frozen=True)
class HalfTypes:
    """Positions among a node's inputs and outputs that hold float32 and may hold float16, all of them together."""

    inputs: frozenset[int]
    outputs: frozenset[int]


def half_types(node: onnx_ir.Node, opset: int) -> HalfTypes | None:
    """What may become float16; None where an output of float32 would have to stay one, or no input can change.

    Args:
        node: its values have types.
        opset: the version of ONNX's own operators.
    """
    if node.domain not in ONNX_DOMAINS or not onnx.defs.has(node.op_type, opset):
        return None
    schema = onnx.defs.get_schema(node.op_type, opset)
    able = {each.type_param_str for each in schema.type_constraints if set(each.allowed_type_strs) >= BOTH}
    inputs = {index: name for index, name in _names(schema.inputs, node.inputs) if name in able}
    outputs = dict(_names(schema.outputs, node.outputs))
    if not inputs or not set(outputs.values()) <= set(inputs.values()):  # a Cast's output type is an attribute
        return None
    return HalfTypes(frozenset(inputs), frozenset(outputs))


def _names(formals: Sequence[Formal], values: Sequence[onnx_ir.Value | None]) -> Iterator[tuple[int, str]]:
    """The schema's name for the type of every float32 value, with its position."""
    for index, value in enumerate(values):
        if value is not None and value.dtype == DataType.FLOAT:
            yield index, formals[min(index, len(formals) - 1)].type_str  # the last one may repeat


def pixel_nodes(model: onnx_ir.Model) -> frozenset[onnx_ir.Node]:
    """The nodes that scale, round, clip or move pixels, from inputs and up to outputs of integers.

    They reach from an integer output back, and from an integer input on, to the first node that is neither a move nor
    arithmetic with constants: a convolution, or the tanh that ends a network.
    """
    makers = [value.producer() for value in model.graph.outputs if _is_integer(value)]
    readers = [node for value in model.graph.inputs if _is_integer(value) for node in value.consumers()]
    back = _walk([node for node in makers if node is not None], onnx_ir.Node.predecessors)
    return frozenset(back | _walk(readers, onnx_ir.Node.successors))


def _walk(
    waiting: list[onnx_ir.Node], following: Callable[[onnx_ir.Node], Iterable[onnx_ir.Node]]
) -> set[onnx_ir.Node]:
    found: set[onnx_ir.Node] = set()
    while waiting:
        node = waiting.pop()
        step = is_operator(node, *ARITHMETIC, *MOVES) and len(computed_inputs(node)) == 1
        if step and node not in found:
            found.add(node)
            waiting.extend(following(node))
    return found


def _is_integer(value: onnx_ir.Value) -> bool:
    return value.dtype is not None and value.dtype.is_integer()


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
