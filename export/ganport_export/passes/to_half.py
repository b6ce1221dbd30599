"""Makes a graph compute in float16, between inputs and outputs that keep their types: the precision `fp16`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import onnx_ir
from onnx_ir import DataType
from onnx_ir.passes import common

from ganport_export.inputs import Feed
from ganport_export.passes.builder import Builder
from ganport_export.passes.graph_view import constant_array, infer_shapes, is_operator, label, opset_version
from ganport_export.passes.half_safety import ANY_TYPE, LARGEST, HalfTypes, half_types, unsafe_nodes
from ganport_export.session import activation_ranges, fill_in_types

SAFE_SHARE = 0.25  # of float16's largest: other latents reach further than those of a calibration


@dataclass(frozen=True)
class KeptFloat32:
    """A node that stays in float32.

    Args:
        node: its name.
        op_type: its operator.
        reason: why.
    """

    node: str
    op_type: str
    reason: str

    def __str__(self) -> str:
        """One line."""
        return f"{self.op_type} {self.node!r} stays in float32: {self.reason}"


def to_half(
    model: onnx_ir.Model, feeds: Iterable[Feed], *, safe_share: float = SAFE_SHARE, threads: int | None = None
) -> tuple[KeptFloat32, ...]:
    """Give the float32 values between a graph's inputs and outputs the type float16, in place, where it is safe.

    Comes after the form. Constants are rounded once. A node that reads, holds or makes values beyond a safe share of
    what float16 holds stays in float32 with casts around it, and so do the steps from and to pixels, sums over many
    values, and operators that know no float16. The cast to pixels that ends a graph stays its last node.

    Args:
        model: float32 graph.
        feeds: inputs by name, batch by batch, that show how large its values become.
        safe_share: of 65504, that values may reach.
        threads: for the calibration, as in `OnnxSession`.

    Returns:
        Every node that stays in float32, in the order of the graph.

    Raises:
        ExportError: a value is NaN or infinite, or the graph cannot be run; it computes what it did then.
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
