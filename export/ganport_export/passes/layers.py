"""Conv, ConvTranspose and Gemm seen alike: which output column every weight belongs to, and how to rescale columns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir

from ganport_export.passes.builder import Builder
from ganport_export.passes.graph_view import constant_array, is_operator, label, only_reader

WEIGHT, BIAS = 1, 2  # positions among the inputs, the same for all three operators

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Layer:
    """A convolution or dense layer with constant weights."""

    node: onnx_ir.Node
    weight: npt.NDArray[Any]
    bias: Floats  # float64 [columns], zeros where the node has none
    column_of_weight: Integers  # output channel or number of each weight, in a shape that broadcasts to the weight's

    @property
    def columns(self) -> int:
        """Output channels of a convolution, outputs of a dense layer."""
        return self.bias.size

    def column_of_output(self, batch: int) -> Integers | None:
        """The column of every output value for `batch` images; None where the output's shape is not known."""
        shape = self.node.outputs[0].shape
        sizes = () if shape is None else tuple(size for size in shape[1:] if isinstance(size, int))
        if shape is None or len(sizes) != len(shape) - 1:
            return None
        columns = np.arange(self.columns).reshape(-1, *[1] * (len(sizes) - 1))
        return np.broadcast_to(columns, (batch, *sizes))

    def rescale(self, builder: Builder, scale: Floats, shift: Floats) -> None:
        """Make the layer compute scale * y + shift, both float64 [columns]: in float64, rounded once."""
        dtype = self.weight.dtype
        weight = (self.weight * scale[self.column_of_weight]).astype(dtype)
        bias = (self.bias * scale + shift).astype(dtype)
        self.node.resize_inputs(BIAS + 1)
        self.node.replace_input_with(WEIGHT, builder.constant(f"{label(self.node)}.weight", weight))
        self.node.replace_input_with(BIAS, builder.constant(f"{label(self.node)}.bias", bias))
        self.node.attributes.pop("beta", None)  # Gemm's factor on its bias: `self.bias` holds it multiplied in


def read_layer(node: onnx_ir.Node) -> Layer | None:
    """The layer that `node` is; None where it is another operator, or its weight or bias is computed."""
    if not is_operator(node, *COLUMN_OF_WEIGHT):
        return None
    weight = constant_array(node.inputs[WEIGHT])
    bias_input = node.inputs[BIAS] if len(node.inputs) > BIAS else None
    bias = np.zeros(1) if bias_input is None else constant_array(bias_input)
    if weight is None or bias is None:
        return None
    column_of_weight = COLUMN_OF_WEIGHT[node.op_type](node, weight.shape)
    columns = int(column_of_weight.max()) + 1
    if bias.size not in (1, columns):  # a Gemm may add another row to each image
        return None
    beta = node.attributes.get_float("beta", 1.0)
    return Layer(node, weight, np.full(columns, beta) * bias.astype(np.float64).ravel(), column_of_weight)


def _of_conv(_: onnx_ir.Node, shape: tuple[int, ...]) -> Integers:
    """Conv weights are [out, in / groups, *kernel]."""
    return np.arange(shape[0]).reshape(-1, *[1] * (len(shape) - 1))


def _of_conv_transpose(node: onnx_ir.Node, shape: tuple[int, ...]) -> Integers:
    """ConvTranspose weights are [in, out / groups, *kernel]; rows of group g make columns from g * out / groups on."""
    inputs, outputs = shape[:2]
    group_of_row = np.arange(inputs) // (inputs // node.attributes.get_int("group", 1))
    columns = group_of_row[:, np.newaxis] * outputs + np.arange(outputs)
    return columns.reshape(inputs, outputs, *[1] * (len(shape) - 2))


def _of_gemm(node: onnx_ir.Node, shape: tuple[int, ...]) -> Integers:
    """Gemm weights are [in, out], or [out, in] with transB."""
    return np.arange(shape[0])[:, np.newaxis] if node.attributes.get_int("transB", 0) else np.arange(shape[1])


COLUMN_OF_WEIGHT: Mapping[str, Callable[[onnx_ir.Node, tuple[int, ...]], Integers]] = {
    "Conv": _of_conv,
    "ConvTranspose": _of_conv_transpose,
    "Gemm": _of_gemm,
}


def matmul_to_gemm(model: onnx_ir.Model) -> None:
    """Replace each MatMul of [batch, in] with constant [in, out] weights, and a constant bias after it, in place."""
    for matmul in [node for node in model.graph if node.op_type == "MatMul"]:
        if _is_dense(matmul):
            add = _bias_add(matmul)
            _replace(model.graph, matmul, add)


def _is_dense(matmul: onnx_ir.Node) -> bool:
    left, right = matmul.inputs
    weight = constant_array(right)
    matrix = left is not None and left.shape is not None and len(left.shape) == 2
    return matrix and weight is not None and weight.ndim == 2


def _bias_add(matmul: onnx_ir.Node) -> onnx_ir.Node | None:
    """The only node that reads the product, where it adds one constant to each column."""
    product = matmul.outputs[0]
    add = only_reader(product)
    if add is None or add.op_type != "Add":
        return None
    bias, outputs = constant_array(_other_input(add, product)), constant_array(matmul.inputs[1])
    return add if bias is not None and outputs is not None and bias.shape == outputs.shape[1:] else None


def _other_input(add: onnx_ir.Node, value: onnx_ir.Value) -> onnx_ir.Value | None:
    return add.inputs[1] if add.inputs[0] is value else add.inputs[0]


def _replace(graph: onnx_ir.Graph, matmul: onnx_ir.Node, add: onnx_ir.Node | None) -> None:
    last = matmul if add is None else add
    bias = [] if add is None else [_other_input(add, matmul.outputs[0])]
    gemm = onnx_ir.node("Gemm", [*matmul.inputs, *bias], name=matmul.name)
    made, old = gemm.outputs[0], last.outputs[0]
    made.shape, made.type = old.shape, old.type
    made.name, old.name = old.name, None  # an output of the graph is known by its name
    graph.insert_before(last, gemm)
    onnx_ir.convenience.replace_all_uses_with(old, made, replace_graph_outputs=True)
    for node in (last, matmul) if add is not None else (matmul,):
        graph.remove(node, safe=True)
