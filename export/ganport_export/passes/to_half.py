"""Makes a graph compute in float16 where that is safe, between inputs and outputs that keep their types: `fp16`."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx.defs
import onnx_ir
from onnx_ir import DataType
from onnx_ir.passes import common

from ganport_export.inputs import Feed
from ganport_export.passes.builder import Builder
from ganport_export.passes.graph_view import (
    MOVES,
    ONNX_DOMAINS,
    computed_inputs,
    constant_array,
    infer_shapes,
    is_operator,
    label,
    opset_version,
)
from ganport_export.session import Range, activation_ranges, fill_in_types

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
    """What may become float16; None where an output of float32 would have to stay one, or no input can change."""
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
    """The nodes that have to stay in float32, and why."""
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


SAFE_SHARE = 0.25  # of float16's largest: other latents reach further than those of a calibration


@dataclass(frozen=True)
class KeptFloat32:
    """A node that stays in float32."""

    node: str
    op_type: str
    reason: str

    def __str__(self) -> str:
        return f"{self.op_type} {self.node!r} stays in float32: {self.reason}"


def to_half(
    model: onnx_ir.Model, feeds: Iterable[Feed], *, safe_share: float = SAFE_SHARE, threads: int | None = None
) -> tuple[KeptFloat32, ...]:
    """Give the float32 values between a graph's inputs and outputs the type float16, in place, where it is safe.

    Comes after the form. A node that reads, holds or makes values beyond `safe_share` of 65504 stays in float32, and so
    do the steps from and to pixels, sums over many values, and operators that know no float16. These are returned.
    """
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    infer_shapes(model)
    fill_in_types(model)
    made = [str(value.name) for node in model.graph for value in node.outputs if value.dtype == DataType.FLOAT]
    kept = unsafe_nodes(model, activation_ranges(model, made, feeds, threads=threads), safe_share * LARGEST)
    opset = opset_version(model)
    changing = {node: half_types(node, opset) for node in model.graph if node not in kept}
    _Change(model).make({node: types for node, types in changing.items() if types is not None})
    common.RemoveUnusedNodesPass()(model)
    infer_shapes(model)
    return tuple(KeptFloat32(label(node), node.op_type, reason) for node, reason in kept.items())


class _Change:
    """Rewrites one graph from its first node to its last; every value has one cast to the other type at most."""

    def __init__(self, model: onnx_ir.Model) -> None:
        self._graph, self._builder = model.graph, Builder(model)
        self._changed: set[onnx_ir.Value] = set()
        self._other: dict[onnx_ir.Value, onnx_ir.Value] = {}

    def make(self, changing: Mapping[onnx_ir.Node, HalfTypes]) -> None:
        """Let these nodes compute in float16 and all others in float32."""
        for node in [node for node in self._graph if not is_operator(node, *ANY_TYPE)]:
            types = changing.get(node, HalfTypes(frozenset(), frozenset()))
            for index, value in enumerate(node.inputs):
                if value is not None and (index in types.inputs) != (value in self._changed):
                    node.replace_input_with(index, self._in_other_type(value, node))
            for index in types.outputs:
                node.outputs[index].type = onnx_ir.TensorType(DataType.FLOAT16)
                self._changed.add(node.outputs[index])
        for index, value in enumerate(self._graph.outputs):
            if value in self._changed:
                self._graph.outputs[index] = self._as_output(value)

    def _in_other_type(self, value: onnx_ir.Value, reader: onnx_ir.Node | None) -> onnx_ir.Value:
        if value not in self._other:
            dtype = DataType.FLOAT if value in self._changed else DataType.FLOAT16
            self._other[value] = self._converted(dtype, value, reader)
        return self._other[value]

    def _converted(self, dtype: DataType, value: onnx_ir.Value, reader: onnx_ir.Node | None) -> onnx_ir.Value:
        name = f"{value.name}.{'half' if dtype == DataType.FLOAT16 else 'float'}"
        array = constant_array(value)
        if array is not None:
            return self._builder.constant(name, array.astype(dtype.numpy()))
        return self._builder.before(reader, "Cast", [value], name, {"to": dtype.value}, dtype)

    def _as_output(self, value: onnx_ir.Value) -> onnx_ir.Value:
        """A graph's output in float32 under the name that its float16 value had."""
        output = self._in_other_type(value, None)
        output.name, value.name = value.name, output.name
        output.shape = value.shape
        return output
