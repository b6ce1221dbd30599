"""A graph as it is for one image: every value's shape and type, what is stored, and who makes and takes each value."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import onnx
from onnx import helper

from ganport_bench.errors import BenchError

__all__ = ["OneImage", "Shape", "Stored", "one_image"]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Stored:
    """A tensor in the file.

    Attributes:
        name: where it comes from; values that were made of the same tensor share it.
        values: how many.
        bytes: of all of them.
    """

    name: str
    values: int
    bytes: int


@dataclass(frozen=True)
class OneImage:
    """A graph whose inputs have a first dimension, the batch, of one.

    Attributes:
        graph: as ONNX has it.
        shapes: of the values whose shape is fixed.
        types: of the values, in ONNX's numbers.
        stored: by value, the tensor that it is made of without any input: itself, dequantized, cast and the like.
        makers: the node that computes a value.
        takers: the nodes that read a value.
    """

    graph: onnx.GraphProto
    shapes: Mapping[str, Shape]
    types: Mapping[str, int]
    stored: Mapping[str, Stored]
    makers: Mapping[str, onnx.NodeProto]
    takers: Mapping[str, Sequence[onnx.NodeProto]]

    def shape(self, node: onnx.NodeProto, name: str) -> Shape:
        """The shape of a value that a node reads or writes.

        Raises:
            BenchError: it is not fixed.
        """
        if name not in self.shapes:
            raise BenchError(f"{node.op_type} {node.name} cannot be counted: {name} has no fixed shape")
        return self.shapes[name]

    def bytes(self, node: onnx.NodeProto, name: str) -> int:
        """The bytes of a value that a node reads or writes; see `shape`."""
        return prod(self.shape(node, name)) * _size(self.types[name])

    def weights(self, node: onnx.NodeProto) -> tuple[Stored, ...]:
        """What a node reads of the file, each tensor once."""
        found = {self.stored[name].name: self.stored[name] for name in node.input if name in self.stored}
        return tuple(found.values())

    @property
    def data_inputs(self) -> tuple[str, ...]:
        """The inputs that callers give."""
        return tuple(value.name for value in self.graph.input if value.name not in self.stored)


def one_image(model: bytes) -> OneImage:
    """Read a model whose first dimension of every input is the batch."""
    graph = _inferred(onnx.load_from_string(model)).graph
    values = (*graph.input, *graph.value_info, *graph.output)
    takers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in graph.node:
        for name in set(node.input):
            takers[name].append(node)
    return OneImage(
        graph,
        _shapes(graph, values),
        {item.name: item.data_type for item in graph.initializer}
        | {value.name: value.type.tensor_type.elem_type for value in values},
        _stored(graph),
        {name: node for node in graph.node for name in node.output},
        takers,
    )


def _inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    initialized = {initializer.name for initializer in model.graph.initializer}
    for value in model.graph.input:
        if value.name not in initialized:
            value.type.tensor_type.shape.dim[0].dim_value = 1
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")  # it may name the batch that is now one
    del model.graph.value_info[:]
    return onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)


def _shapes(graph: onnx.GraphProto, values: Sequence[onnx.ValueInfoProto]) -> dict[str, Shape]:
    shapes = {initializer.name: tuple(initializer.dims) for initializer in graph.initializer}
    for value in values:
        dims = value.type.tensor_type.shape.dim
        if all(dim.HasField("dim_value") for dim in dims):
            shapes[value.name] = tuple(dim.dim_value for dim in dims)
    return shapes


def _stored(graph: onnx.GraphProto) -> dict[str, Stored]:
    """Initializers, constants, and what nodes make of these alone: of the first input, the others are its scales."""
    found = {tensor.name: _tensor(tensor.name, tensor) for tensor in graph.initializer}
    for node in graph.node:  # in the order of computation
        if node.op_type == "Constant":
            found |= {
                name: _tensor(name, item.t) for item in node.attribute if item.name == "value" for name in node.output
            }
        elif node.input and all(name in found for name in node.input if name):
            found |= dict.fromkeys(node.output, found[node.input[0]])
    return found


def _tensor(name: str, tensor: onnx.TensorProto) -> Stored:
    return Stored(name, prod(tensor.dims), prod(tensor.dims) * _size(tensor.data_type))


def _size(data_type: int) -> int:
    return helper.tensor_dtype_to_np_dtype(data_type).itemsize
