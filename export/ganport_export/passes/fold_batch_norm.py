"""Folds batch normalization into the convolution or dense layer before it, in float64, rounded once.

A trained batch norm is y = scale * x + shift for each channel, with scale = weight / sqrt(variance + epsilon) and
shift = bias - scale * mean (Ioffe and Szegedy 2015, algorithm 2). Both disappear into the layer that makes x, also
where x is reshaped, transposed or interleaved on its way: such steps only move values, so what they do to the layer's
column numbers tells which channel each column ends up in.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir
from onnx.reference import ReferenceEvaluator
from onnx_ir.passes import common

from ganport_export.passes.builder import Builder
from ganport_export.passes.graph_view import (
    MOVES,
    constant_array,
    infer_shapes,
    is_operator,
    label,
    nested_nodes,
    only_reader,
)
from ganport_export.passes.layers import Layer, matmul_to_gemm, read_layer

REARRANGES = MOVES - {"Concat", "Slice"}  # every value of one input, once
BATCH_NORM = "BatchNormalization"
PROBE_BATCH = 2  # two images show that no step moves values from one to the other

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class _UnfoldableError(Exception):
    """Why a batch norm has to stay."""


def fold_batch_norm(model: onnx_ir.Model) -> tuple[str, ...]:
    """Fold every batch norm that can be folded, in place. Needs no other pass before it."""
    infer_shapes(model)
    matmul_to_gemm(model)
    builder, left = Builder(model), []
    for norm in [node for node in model.graph if is_operator(node, BATCH_NORM)]:
        try:
            _fold(model.graph, norm, builder)
        except _UnfoldableError as reason:
            left.append(f"batch norm {label(norm)!r} stays in the graph: {reason}")
    for norm, where in nested_nodes(model, BATCH_NORM):
        left.append(f"batch norm {label(norm)!r} stays in the graph: it is inside {where}")
    common.RemoveUnusedNodesPass()(model)
    return tuple(left)


def _fold(graph: onnx_ir.Graph, norm: onnx_ir.Node, builder: Builder) -> None:
    scale, shift = _scale_and_shift(norm)
    layer, moves = _layer_before(norm)
    channel_of_column = _channel_of_column(layer, moves, channels=scale.size)
    layer.rescale(builder, scale[channel_of_column], shift[channel_of_column])
    before, after = norm.inputs[0], norm.outputs[0]
    assert before is not None  # a batch norm's first input is not optional
    if after.is_graph_output():
        before.name, after.name = after.name, None
    onnx_ir.convenience.replace_all_uses_with(after, before, replace_graph_outputs=True)
    graph.remove(norm, safe=True)


def _scale_and_shift(norm: onnx_ir.Node) -> tuple[Floats, Floats]:
    if norm.attributes.get_int("training_mode", 0) or len(norm.outputs) > 1:  # its mark before opset 14
        raise _UnfoldableError("it takes its statistics from the batch")
    arrays = [constant_array(value) for value in norm.inputs[1:]]
    weight, bias, mean, variance = (None if array is None else array.astype(np.float64) for array in arrays)
    if weight is None or bias is None or mean is None or variance is None:
        raise _UnfoldableError("its statistics are computed, not constant")
    scale = weight / np.sqrt(variance + norm.attributes.get_float("epsilon", 1e-5))
    return scale, bias - scale * mean


def _layer_before(norm: onnx_ir.Node) -> tuple[Layer, list[onnx_ir.Node]]:
    """The layer that the norm reads from, and the moves between them, in the order in which they run."""
    moves: list[onnx_ir.Node] = []
    for node in _producers(norm):
        if only_reader(node.outputs[0]) is None:
            raise _UnfoldableError(f"the output of {node.op_type} {label(node)!r} before it goes elsewhere too")
        layer = read_layer(node)
        if layer is not None:
            return layer, moves[::-1]
        if node.op_type not in REARRANGES:
            raise _UnfoldableError(f"it follows {node.op_type} {label(node)!r}, no layer with constant weights")
        moves.append(node)
    raise _UnfoldableError("no layer comes before it")


def _producers(node: onnx_ir.Node) -> Iterator[onnx_ir.Node]:
    value = node.inputs[0]
    while value is not None and (producer := value.producer()) is not None:
        yield producer
        value = producer.inputs[0] if producer.inputs else None


def _channel_of_column(layer: Layer, moves: list[onnx_ir.Node], channels: int) -> Integers:
    """The norm's channel that each column of the layer ends up in, int64 [columns]."""
    if not moves:
        return np.arange(channels)
    columns = layer.column_of_output(_probe_batch(layer))
    if columns is None:
        raise _UnfoldableError(f"the shape of {layer.node.op_type} {label(layer.node)!r} before it is not known")
    moved_columns, moved_images = columns, _along(columns, axis=0)
    for node in moves:
        moved_columns, moved_images = _run(node, moved_columns), _run(node, moved_images)
    channel = _along(moved_columns, axis=1)
    channel_of_column = np.zeros(layer.columns, np.int64)
    channel_of_column[moved_columns] = channel  # the last one wins where a column reaches several channels
    if not np.array_equal(channel_of_column[moved_columns], channel):
        raise _UnfoldableError(f"the columns of {layer.node.op_type} {label(layer.node)!r} reach several channels each")
    if not np.array_equal(moved_images, _along(moved_images, axis=0)):
        raise _UnfoldableError("a step before it moves values between images")
    return channel_of_column


def _probe_batch(layer: Layer) -> int:
    """The batch that the graph is written for, where it is written for one: the moves take no other."""
    shape = layer.node.outputs[0].shape
    fixed = None if shape is None or len(shape) == 0 else shape[0]
    return fixed if isinstance(fixed, int) and fixed > 0 else PROBE_BATCH


def _along(array: Integers, axis: int) -> Integers:
    counting: Integers = np.indices(array.shape)[axis]
    return counting


def _run(move: onnx_ir.Node, array: Integers) -> Integers:
    others = [constant_array(value) for value in move.inputs[1:]]
    if any(other is None for other in others):
        raise _UnfoldableError(f"{move.op_type} {label(move)!r} before it takes a computed shape")
    feeds: dict[str, Any] = dict(
        zip((str(value.name) for value in move.inputs if value), [array, *others], strict=True)
    )
    try:
        (moved,) = ReferenceEvaluator(onnx_ir.serde.serialize_node(move)).run(None, feeds)
    except Exception as error:
        raise _UnfoldableError(
            f"{move.op_type} {label(move)!r} before it takes no batch of {PROBE_BATCH} ({error})"
        ) from error
    return np.asarray(moved)
