"""What an ONNX graph asks of a machine, counted for one image: multiply-adds, weights, latents and images.

There are two counts of multiply-adds. By the usual one a convolution costs its kernel at every place of its output, and
a transposed one at every place of its input, so a stride-2 transposed convolution and the four ordinary ones of its
phases cost the same. Some of these multiply zeros of the padding or make results that are cropped. An engine may leave
them out, and the good ones do, so a floor counts the others alone: what is needed.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

import numpy as np
import onnx
from onnx import helper

from ganport_bench.errors import BenchError

Shape = tuple[int, ...]
Count = tuple[int, int]  # multiply-adds by the usual count, and those that are needed

BYTES: Mapping[str, int] = {"fp32": 4, "tf32": 4, "bf16": 2, "fp16": 2, "int8": 1}  # of a weight, by precision


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in the file; values made of the same tensor alone share its name."""

    name: str
    values: int
    bytes: int


@dataclass(frozen=True)
class OneImage:
    """A graph whose inputs have a first dimension, the batch, of one."""

    graph: onnx.GraphProto  # as ONNX has it
    shapes: Mapping[str, Shape]  # of the values whose shape is fixed
    types: Mapping[str, int]  # of the values, in ONNX's numbers
    # by value, the tensor that it is made of without any input: itself, dequantized, cast and so on.
    stored: Mapping[str, StoredTensor]

    @classmethod
    def of(cls, model: bytes) -> "OneImage":
        """Read a model whose first dimension of every input is the batch."""
        graph = _inferred(onnx.load_from_string(model)).graph
        values = (*graph.input, *graph.value_info, *graph.output)
        shapes: dict[str, Shape] = {initializer.name: tuple(initializer.dims) for initializer in graph.initializer}
        for value in values:
            dims = value.type.tensor_type.shape.dim
            if all(dim.HasField("dim_value") for dim in dims):
                shapes[value.name] = tuple(dim.dim_value for dim in dims)
        types = {item.name: item.data_type for item in graph.initializer}
        types |= {value.name: value.type.tensor_type.elem_type for value in values}
        return cls(graph, shapes, types, _stored(graph))

    def shape(self, node: onnx.NodeProto, name: str) -> Shape:
        """The shape of a value that a node reads or writes. Raises BenchError: it is not fixed."""
        if name not in self.shapes:
            raise BenchError(f"{node.op_type} {node.name} cannot be counted: {name} has no fixed shape")
        return self.shapes[name]

    def bytes(self, node: onnx.NodeProto, name: str) -> int:
        """The bytes of a value that a node reads or writes; see `shape`."""
        return prod(self.shape(node, name)) * _size(self.types[name])

    def weights(self, node: onnx.NodeProto) -> tuple[StoredTensor, ...]:
        """What a node reads of the file, each tensor once."""
        return tuple({self.stored[name].name: self.stored[name] for name in node.input if name in self.stored}.values())


def _inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    initialized = {initializer.name for initializer in model.graph.initializer}
    for value in model.graph.input:
        if value.name not in initialized:
            value.type.tensor_type.shape.dim[0].dim_value = 1
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")  # it may name the batch that is now one
    del model.graph.value_info[:]
    return onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)


def _stored(graph: onnx.GraphProto) -> dict[str, StoredTensor]:
    """Initializers, constants, and what nodes make of these alone: of the first input, the others are its scales."""

    def tensor(name: str, of: onnx.TensorProto) -> StoredTensor:
        return StoredTensor(name, prod(of.dims), prod(of.dims) * _size(of.data_type))

    found = {one.name: tensor(one.name, one) for one in graph.initializer}
    for node in graph.node:  # in the order of computation
        if node.op_type == "Constant":
            for value in (item.t for item in node.attribute if item.name == "value"):
                found[node.output[0]] = tensor(node.output[0], value)
        elif node.input and all(name in found for name in node.input if name):
            found |= dict.fromkeys(node.output, found[node.input[0]])
    return found


def _size(data_type: int) -> int:
    return helper.tensor_dtype_to_np_dtype(data_type).itemsize


@dataclass(frozen=True)
class NodeWork:
    """One node that multiplies matrices."""

    name: str  # of the node
    output: str  # the name of what it computes, by which some engines call it
    operator: str  # `Conv`, `ConvTranspose`, `Gemm`, `MatMul`, or a quantized form of one
    multiply_adds: int  # for one image
    needed: int  # those whose factors are no padding and whose results are not cropped
    weight_bytes: int  # read of the file, once a call whatever the batch


def multiply_adds(model: bytes) -> int:
    """Multiply-adds for one image of an ONNX model whose first dimension of every input is the batch."""
    return sum(node.multiply_adds for node in work_of(model))


def work_of(model: bytes) -> tuple[NodeWork, ...]:
    """Every node that multiplies matrices, in the graph's order; see `multiply_adds`."""
    return _work(OneImage.of(model))


def _work(one: OneImage) -> tuple[NodeWork, ...]:
    found = []
    for node in (node for node in one.graph.node if node.op_type in PRODUCTS):
        weights = sum(tensor.bytes for tensor in one.weights(node))
        found.append(NodeWork(node.name, node.output[0], node.op_type, *PRODUCTS[node.op_type](node, one), weights))
    return tuple(found)


def _of_conv(node: onnx.NodeProto, one: OneImage, weight: int = 1) -> Count:
    """Output values times input channels of a group times kernel: weights are [out, in / groups, *kernel]."""
    inputs, outputs = one.shape(node, node.input[0]), one.shape(node, node.output[0])
    _, channels, *kernel = one.shape(node, node.input[weight])
    needed = _pairs(node, places=outputs[2:], limits=inputs[2:], kernel=tuple(kernel))
    return prod(outputs) * channels * prod(kernel), prod(outputs[:2]) * channels * needed


def _of_conv_transpose(node: onnx.NodeProto, one: OneImage) -> Count:
    """Input values times output channels of a group times kernel: weights are [in, out / groups, *kernel]."""
    inputs, outputs = one.shape(node, node.input[0]), one.shape(node, node.output[0])
    _, channels, *kernel = one.shape(node, node.input[1])
    needed = _pairs(node, places=inputs[2:], limits=outputs[2:], kernel=tuple(kernel), is_transposed=True)
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


def _pairs(node: onnx.NodeProto, *, places: Shape, limits: Shape, kernel: Shape, is_transposed: bool = False) -> int:
    """Pairs of a place and a tap of the kernel, over all axes, that meet a value on the other side.

    The other side's place is `stride * place + dilation * tap - padding`; it has to be within `limits`. For a
    convolution places are those of its output, for a transposed one those of its input.
    """
    told = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    ones = [1] * len(kernel)
    strides, dilations = told.get("strides", ones), told.get("dilations", ones)
    extra = told.get("output_padding", [0] * len(kernel)) if is_transposed else [0] * len(kernel)
    count = 1
    for axis, (size, limit, taps) in enumerate(zip(places, limits, kernel, strict=True)):
        span = strides[axis] * (size - 1) + dilations[axis] * (taps - 1) + 1
        before = _padding_before(told, axis, span + extra[axis] - limit)
        at = strides[axis] * np.arange(size)[:, None] + dilations[axis] * np.arange(taps) - before
        count *= int(np.count_nonzero((at >= 0) & (at < limit)))
    return count


def _padding_before(told: Mapping[str, Any], axis: int, total: int) -> int:
    """The padding before an axis: given, none, or half of what it takes in all, as ONNX defines each."""
    way = told.get("auto_pad", b"NOTSET").decode()
    if way == "VALID":
        return 0
    if way == "NOTSET" and "output_shape" not in told:
        return int(told.get("pads", [0] * (axis + 1))[axis])
    half = max(total, 0) // 2
    return half if way == "SAME_UPPER" else max(total, 0) - half


@dataclass(frozen=True)
class Demand:
    """What an engine cannot do without that keeps every activation where it computes."""

    multiply_adds: int  # for one image, by the usual count
    needed_multiply_adds: int  # for one image, without those on padding and for what is cropped
    weight_values: int  # numbers in the constants of all nodes that multiply matrices, each constant once
    weight_bytes: int  # of these as they are stored in the graph
    latent_bytes: int  # read for one image
    image_bytes: int  # written for one image

    def operations(self, batch: int) -> int:
        """Multiplications and additions that a call needs where it convolves directly."""
        return 2 * self.needed_multiply_adds * batch

    def bytes(self, precision: str, batch: int) -> int:
        """Read and written by a call whose weights are of a precision: weights once, latents and images each."""
        return BYTES[precision] * self.weight_values + batch * (self.latent_bytes + self.image_bytes)

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self)


def demand_of(model: bytes) -> Demand:
    """The demand of a generator's graph, of whatever form."""
    one = OneImage.of(model)
    work, products = _work(one), [node for node in one.graph.node if node.op_type in PRODUCTS]
    weights = {tensor.name: tensor for node in products for tensor in one.weights(node)}.values()
    first, last = one.graph.node[0], one.graph.node[-1]
    return Demand(
        sum(node.multiply_adds for node in work),
        sum(node.needed for node in work),
        sum(tensor.values for tensor in weights),
        sum(tensor.bytes for tensor in weights),
        sum(one.bytes(first, value.name) for value in one.graph.input if value.name not in one.stored),
        sum(one.bytes(last, value.name) for value in one.graph.output),
    )
