"""Finds the steps between pixels, which are integers, and the network: they count from 0 to 255 and must not round."""

from collections.abc import Callable, Iterator

import onnx_ir

from ganport_export.passes.inspect_nodes import constant_array, is_operator

__all__ = ["pixel_nodes"]

ARITHMETIC = ("Add", "Sub", "Mul", "Div", "Round", "Floor", "Ceil", "Clip", "Min", "Max", "Cast")
MOVES = ("Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Slice", "DepthToSpace", "SpaceToDepth")


def pixel_nodes(model: onnx_ir.Model) -> frozenset[onnx_ir.Node]:
    """The nodes that scale, round, clip or move pixels, from inputs and up to outputs of integers.

    They reach from an integer output back, and from an integer input on, to the first node that is neither a move nor
    arithmetic with constants: a convolution, or the tanh that ends a network.
    """
    after = [node for value in model.graph.outputs if _is_integer(value) for node in _maker(value)]
    before = [node for value in model.graph.inputs if _is_integer(value) for node in value.consumers()]
    return frozenset({*_walk(after, _makers), *_walk(before, _readers)})


def _walk(starts: list[onnx_ir.Node], following: Callable[[onnx_ir.Node], Iterator[onnx_ir.Node]]) -> set[onnx_ir.Node]:
    found: set[onnx_ir.Node] = set()
    waiting = list(starts)
    while waiting:
        node = waiting.pop()
        if node not in found and _is_step(node):
            found.add(node)
            waiting.extend(following(node))
    return found


def _is_step(node: onnx_ir.Node) -> bool:
    """Whether a node computes from one tensor, and constants, without a function of its own."""
    computed = [value for value in node.inputs if value is not None and constant_array(value) is None]
    return is_operator(node, *ARITHMETIC, *MOVES) and len(computed) == 1


def _is_integer(value: onnx_ir.Value) -> bool:
    return value.dtype is not None and value.dtype.is_integer()


def _makers(node: onnx_ir.Node) -> Iterator[onnx_ir.Node]:
    for value in node.inputs:
        if value is not None:
            yield from _maker(value)


def _maker(value: onnx_ir.Value) -> Iterator[onnx_ir.Node]:
    if (producer := value.producer()) is not None:
        yield producer


def _readers(node: onnx_ir.Node) -> Iterator[onnx_ir.Node]:
    for value in node.outputs:
        yield from value.consumers()
