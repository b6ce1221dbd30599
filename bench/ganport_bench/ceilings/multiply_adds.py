"""Counts the multiply-adds of a graph's convolutions and dense layers, node by node.

There are two counts. By the usual one a convolution costs its kernel at every place of its output, and a transposed one
at every place of its input, so that a stride-2 transposed convolution and the four ordinary ones of its phases cost the
same, as they do the same work. Of these some multiply zeros of the padding, or make results that are cropped. An engine
may leave them out, and the good ones do, so a floor below which nothing goes counts only the others: what is needed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod

import onnx

from ganport_bench.ceilings.one_image import OneImage, one_image
from ganport_bench.ceilings.padding import needed_of_conv, needed_of_conv_transpose

__all__ = ["PRODUCTS", "NodeWork", "multiply_adds", "work_of"]

Count = tuple[int, int]


@dataclass(frozen=True)
class NodeWork:
    """One node that multiplies matrices.

    Attributes:
        name: of the node.
        output: the name of what it computes, by which some engines call it.
        operator: `Conv`, `ConvTranspose`, `Gemm`, `MatMul`, or a quantized form of one.
        multiply_adds: for one image.
        needed: of these, the ones whose factors are no padding and whose results are not cropped.
    """

    name: str
    output: str
    operator: str
    multiply_adds: int
    needed: int


def multiply_adds(model: bytes) -> int:
    """Multiply-adds for one image of an ONNX model whose first dimension of every input is the batch.

    Raises:
        BenchError: a shape that is needed cannot be inferred.
    """
    return sum(node.multiply_adds for node in work_of(model))


def work_of(model: bytes) -> tuple[NodeWork, ...]:
    """Every node that multiplies matrices, in the graph's order; see `multiply_adds`."""
    one = one_image(model)
    return tuple(
        NodeWork(node.name, node.output[0], node.op_type, *PRODUCTS[node.op_type](node, one))
        for node in one.graph.node
        if node.op_type in PRODUCTS
    )


def _of_conv(node: onnx.NodeProto, one: OneImage, weight: int = 1) -> Count:
    """Output values times input channels of a group times kernel: weights are [out, in / groups, *kernel]."""
    inputs, outputs = one.shape(node, node.input[0]), one.shape(node, node.output[0])
    _, channels, *kernel = one.shape(node, node.input[weight])
    needed = needed_of_conv(node, inputs[2:], outputs[2:], tuple(kernel))
    return prod(outputs) * channels * prod(kernel), prod(outputs[:2]) * channels * needed


def _of_conv_transpose(node: onnx.NodeProto, one: OneImage) -> Count:
    """Input values times output channels of a group times kernel: weights are [in, out / groups, *kernel]."""
    inputs, outputs = one.shape(node, node.input[0]), one.shape(node, node.output[0])
    _, channels, *kernel = one.shape(node, node.input[1])
    needed = needed_of_conv_transpose(node, inputs[2:], outputs[2:], tuple(kernel))
    return prod(inputs) * channels * prod(kernel), prod(inputs[:2]) * channels * needed


def _of_product(node: onnx.NodeProto, one: OneImage) -> Count:
    """Output values times the length of what is summed over: the last axis of the left side, or Gemm's other one."""
    inner = -2 if any(item.name == "transA" and item.i for item in node.attribute) else -1
    count = prod(one.shape(node, node.output[0])) * one.shape(node, node.input[0])[inner]
    return count, count


PRODUCTS: Mapping[str, Callable[[onnx.NodeProto, OneImage], Count]] = {
    "Conv": _of_conv,
    "ConvInteger": _of_conv,
    "ConvTranspose": _of_conv_transpose,
    "Gemm": _of_product,
    "MatMul": _of_product,
    "MatMulInteger": _of_product,
    "QLinearConv": lambda node, one: _of_conv(node, one, weight=3),
    "QLinearMatMul": _of_product,
}
