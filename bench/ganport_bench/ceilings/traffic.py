"""Counts the bytes that every node of a graph reads and writes, in the numbers in which they are stored.

This is what moves where each node runs by itself; an engine that fuses nodes moves less, and `demand` has what is left
where all are fused. Two things are free here already: values that are only seen in another shape, and conversions
between float and int8 that stand beside a node. What is dequantized to be read is read as int8, and what is written to
be quantized and nothing else is written as int8.
"""

from dataclasses import dataclass

import onnx

from ganport_bench.ceilings.one_image import OneImage, one_image

__all__ = ["NodeTraffic", "traffic_of"]

VIEWS = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})
QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"


@dataclass(frozen=True)
class NodeTraffic:
    """One node.

    Attributes:
        name: of the node.
        output: the name of what it computes.
        operator: ONNX's.
        weight_bytes: read of the file, once a call whatever the batch.
        read_bytes: of activations, for one image.
        written_bytes: of activations, for one image.
    """

    name: str
    output: str
    operator: str
    weight_bytes: int
    read_bytes: int
    written_bytes: int

    def bytes(self, batch: int) -> int:
        """Of a call."""
        return self.weight_bytes + batch * (self.read_bytes + self.written_bytes)


def traffic_of(model: bytes) -> tuple[NodeTraffic, ...]:
    """Every node that moves anything, in the graph's order.

    Raises:
        BenchError: a shape that is needed cannot be inferred.
    """
    one = one_image(model)
    return tuple(_traffic(node, one) for node in one.graph.node if not _is_free(node, one))


def _is_free(node: onnx.NodeProto, one: OneImage) -> bool:
    if node.output[0] in one.stored or node.op_type in (*VIEWS, DEQUANTIZE, "Constant"):
        return True
    return node.op_type == QUANTIZE and _is_quantized_only(node.input[0], one)


def _traffic(node: onnx.NodeProto, one: OneImage) -> NodeTraffic:
    read = sum(_read(name, node, one) for name in dict.fromkeys(node.input) if name and name not in one.stored)
    written = sum(_written(name, node, one) for name in node.output if name)
    weights = sum(tensor.bytes for tensor in one.weights(node))
    return NodeTraffic(node.name, node.output[0], node.op_type, weights, read, written)


def _read(name: str, node: onnx.NodeProto, one: OneImage) -> int:
    maker = one.makers.get(name)
    while maker is not None and maker.op_type in (*VIEWS, DEQUANTIZE):
        name, node = maker.input[0], maker
        maker = one.makers.get(name)
    return one.bytes(node, name)


def _written(name: str, node: onnx.NodeProto, one: OneImage) -> int:
    while _is_viewed_only(name, one) or _is_quantized_only(name, one):
        node = one.takers[name][0]
        name = node.output[0]
    return one.bytes(node, name)


def _is_viewed_only(name: str, one: OneImage) -> bool:
    takers = one.takers.get(name, ())
    return len(takers) == 1 and takers[0].op_type in VIEWS and name not in {value.name for value in one.graph.output}


def _is_quantized_only(name: str, one: OneImage) -> bool:
    takers = one.takers.get(name, ())
    is_quantized = bool(takers) and all(taker.op_type == QUANTIZE for taker in takers)
    return is_quantized and name not in {value.name for value in one.graph.output}
