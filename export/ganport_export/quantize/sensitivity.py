"""Finds the layers whose quantization harms the image most for what it saves, by measuring each of them in float."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx_ir

from ganport_export.passes.graph_view import ACTIVATIONS, constant_array, infer_shapes, is_operator, only_reader
from ganport_export.passes.layers import WEIGHT

LEAST_GAIN = 0.02  # of the squared error: less is noise, and no reason to give up speed
CHEAP, LARGE_GAIN = 0.03, 0.5  # at this share of the multiplications, half of the error is worth it at any PSNR

Measure = Callable[[Collection[str]], float]  # names of layers kept in float -> PSNR in dB


@dataclass(frozen=True)
class Block:
    """Layers that read one value and are joined at once, as the phases of a transposed convolution are."""

    layers: tuple[str, ...]  # their nodes' names
    cost: float  # multiplications an image as far as shapes are known, as a share of all blocks'


@dataclass(frozen=True)
class Step:
    """One block put back to float."""

    block: Block
    psnr_db: float
    tried: Mapping[str, float]  # the PSNR with each block in its place, by the name of the block's first layer

    def to_json(self) -> dict[str, Any]:
        """The figures by name."""
        return {
            "layers": list(self.block.layers),
            "share_of_multiplications": round(self.block.cost, 4),
            "psnr_db": round(self.psnr_db, 2),
            "tried": {name: round(psnr, 2) for name, psnr in self.tried.items()},
        }


def blocks_of(model: onnx_ir.Model, layers: Sequence[onnx_ir.Node]) -> tuple[Block, ...]:
    """Layers of a graph in blocks, in the order in which they run."""
    members: dict[tuple[str, str], list[onnx_ir.Node]] = {}
    for node in layers:
        source = node.inputs[0]
        assert source is not None  # a layer's first input is not optional
        members.setdefault((str(source.name), _joined_by(node)), []).append(node)
    multiplications = _multiplications(model, {str(node.name) for node in layers})
    total = sum(multiplications.values())
    names = [tuple(str(node.name) for node in nodes) for nodes in members.values()]
    return tuple(Block(block, sum(multiplications[name] for name in block) / total) for block in names)


def keep_sensitive(measure: Measure, blocks: Sequence[Block], psnr_db: float, target_db: float) -> tuple[Step, ...]:
    """Put blocks back to float, one after the other, as long as the images need it and it helps, or it costs nothing.

    Each time every block that may come next is tried, and the one that takes away the most squared error for its cost
    is put back. One block at least stays quantized.
    """
    steps: list[Step] = []
    left = list(blocks)
    while len(left) > 1:
        wanted = psnr_db < target_db
        kept = tuple(name for step in steps for name in step.block.layers)
        tried = {block: measure(kept + block.layers) for block in left if wanted or block.cost <= CHEAP}
        gains = {block: 1 - 10 ** ((psnr_db - found) / 10) for block, found in tried.items()}
        worthwhile = [block for block in tried if gains[block] >= (LEAST_GAIN if wanted else LARGE_GAIN)]
        if not worthwhile:
            break
        best = max(worthwhile, key=lambda block: gains[block] / block.cost)
        psnr_db = tried[best]
        steps.append(Step(best, psnr_db, {block.layers[0]: found for block, found in tried.items()}))
        left.remove(best)
    return tuple(steps)


def _joined_by(node: onnx_ir.Node) -> str:
    """The Concat that a layer's output goes to, if it goes nowhere else; otherwise the layer itself."""
    reader = only_reader(node.outputs[0])
    while reader is not None and is_operator(reader, *ACTIVATIONS):
        reader = only_reader(reader.outputs[0])
    return str(reader.name if reader is not None and reader.op_type == "Concat" else node.name)


def _multiplications(model: onnx_ir.Model, names: Collection[str]) -> Mapping[str, int]:
    """By layer: weights times the positions at which each of them is used, one where shapes are not known."""
    copy = model.clone()
    infer_shapes(copy)
    return {str(node.name): _size(node) for node in copy.graph if node.name in names}


def _size(node: onnx_ir.Node) -> int:
    weight = constant_array(node.inputs[WEIGHT])
    assert weight is not None  # the weights of a layer are constant
    value = node.inputs[0] if node.op_type == "ConvTranspose" else node.outputs[0]
    sizes = () if value is None or value.shape is None else value.shape[2:]
    return weight.size * math.prod(size for size in sizes if isinstance(size, int))
