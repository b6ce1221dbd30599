"""Counts the multiply-adds of a graph's convolutions and dense layers, node by node.

A convolution costs its kernel at every place of its output, a transposed one at every place of its input; padding and
cropping are not taken off. So counted, a stride-2 transposed convolution and the four ordinary ones of its phases cost
the same, as they do the same work.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod

import onnx

from ganport_bench.errors import BenchError

__all__ = ["NodeWork", "multiply_adds", "work_of"]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class NodeWork:
    """One node that multiplies matrices.

    Attributes:
        name: of the node.
        output: the name of what it computes, by which some engines call it.
        operator: `Conv`, `ConvTranspose`, `Gemm`, `MatMul`, or a quantized form of one.
        multiply_adds: for one image.
    """

    name: str
    output: str
    operator: str
    multiply_adds: int


def multiply_adds(model: bytes) -> int:
    """Multiply-adds for one image of an ONNX model whose first dimension of every input is the batch.

    Raises:
        BenchError: a shape that is needed cannot be inferred.
    """
    return sum(node.multiply_adds for node in work_of(model))


def work_of(model: bytes) -> tuple[NodeWork, ...]:
    """Every node that multiplies matrices, in the graph's order; see `multiply_adds`."""
    graph = _for_one_image(onnx.load_from_string(model)).graph
    shapes = _shapes(graph)
    return tuple(
        NodeWork(node.name, node.output[0], node.op_type, COUNTS[node.op_type](node, shapes))
        for node in graph.node
        if node.op_type in COUNTS
    )


def _for_one_image(model: onnx.ModelProto) -> onnx.ModelProto:
    initialized = {initializer.name for initializer in model.graph.initializer}
    for value in model.graph.input:
        if value.name not in initialized:
            value.type.tensor_type.shape.dim[0].dim_value = 1
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")  # it may name the batch that is now one
    del model.graph.value_info[:]
    return onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)


def _shapes(graph: onnx.GraphProto) -> dict[str, Shape]:
    shapes = {initializer.name: tuple(initializer.dims) for initializer in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        dims = value.type.tensor_type.shape.dim
        if all(dim.HasField("dim_value") for dim in dims):
            shapes[value.name] = tuple(dim.dim_value for dim in dims)
    return shapes


def _shape(node: onnx.NodeProto, name: str, shapes: Mapping[str, Shape]) -> Shape:
    if name not in shapes:
        raise BenchError(
            f"the multiply-adds of {node.op_type} {node.name} cannot be counted: {name} has no fixed shape"
        )
    return shapes[name]


def _of_conv(node: onnx.NodeProto, shapes: Mapping[str, Shape], weight: int = 1) -> int:
    """Output values times input channels of a group times kernel: weights are [out, in / groups, *kernel]."""
    return prod(_shape(node, node.output[0], shapes)) * prod(_shape(node, node.input[weight], shapes)[1:])


def _of_conv_transpose(node: onnx.NodeProto, shapes: Mapping[str, Shape]) -> int:
    """Input values times output channels of a group times kernel: weights are [in, out / groups, *kernel]."""
    return prod(_shape(node, node.input[0], shapes)) * prod(_shape(node, node.input[1], shapes)[1:])


def _of_product(node: onnx.NodeProto, shapes: Mapping[str, Shape], left: int = 0) -> int:
    """Output values times the length of what is summed over: the last axis of the left side, or Gemm's other one."""
    inner = -2 if any(item.name == "transA" and item.i for item in node.attribute) else -1
    return prod(_shape(node, node.output[0], shapes)) * _shape(node, node.input[left], shapes)[inner]


COUNTS: Mapping[str, Callable[[onnx.NodeProto, Mapping[str, Shape]], int]] = {
    "Conv": _of_conv,
    "ConvInteger": _of_conv,
    "ConvTranspose": _of_conv_transpose,
    "Gemm": _of_product,
    "MatMul": _of_product,
    "MatMulInteger": _of_product,
    "QLinearConv": lambda node, shapes: _of_conv(node, shapes, weight=3),
    "QLinearMatMul": _of_product,
}
