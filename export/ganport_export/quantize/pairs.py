"""Writes QuantizeLinear and DequantizeLinear into a graph: pairs behind values, int8 weights into layers."""

from collections.abc import Mapping

import numpy as np
import onnx_ir
from onnx_ir import DataType

from ganport_export.passes.builder import Builder
from ganport_export.passes.graph_view import constant_array
from ganport_export.passes.layers import WEIGHT
from ganport_export.quantize.placement import Placement, Recipe
from ganport_export.quantize.ranges import Scale

LARGEST = 127  # of int8 weights; -128 stays unused, so that the codes lie evenly around 0

Grid = tuple[onnx_ir.Value, onnx_ir.Value]  # scale and zero point, as constants


def write_pairs(model: onnx_ir.Model, recipe: Recipe, placement: Placement, scales: Mapping[str, Scale]) -> None:
    """Quantize what a placement names, in place.

    Args:
        model: the graph that the placement was made for, with its names.
        recipe: the kind of int8.
        placement: layers and values.
        scales: of every value in the placement, by name.
    """
    builder = Builder(model)
    nodes = list(model.graph)
    values = {str(value.name): value for value in (*model.graph.inputs, *(v for node in nodes for v in node.outputs))}
    for node in nodes:
        if node.name in placement.layers:
            _quantize_weight(builder, node)
    position = {node: index for index, node in enumerate(nodes)}
    for group in placement.groups:
        name = group.values[-1]
        grid = _grid(builder, name, scales[name], recipe.dtype)
        for name in group.values:
            value = values[name]
            _insert_pair(builder, value, grid, before=min(value.consumers(), key=position.__getitem__))


def _grid(builder: Builder, name: str, scale: Scale, dtype: DataType) -> Grid:
    return (
        builder.constant(f"{name}.scale", np.array(scale.scale, np.float32)),
        builder.constant(f"{name}.zero_point", np.array(scale.zero_point, dtype.numpy())),
    )


def _insert_pair(builder: Builder, value: onnx_ir.Value, grid: Grid, before: onnx_ir.Node) -> None:
    """Let everything that reads `value` read what is left of it after quantizing."""
    uses = value.uses()
    codes = builder.before(before, "QuantizeLinear", [value, *grid], f"{value.name}.codes")
    again = builder.before(before, "DequantizeLinear", [codes, *grid], f"{value.name}.again")
    for use in uses:
        use.node.replace_input_with(use.idx, again)


def _quantize_weight(builder: Builder, layer: onnx_ir.Node) -> None:
    """Let a layer read its weights from int8 codes, with a scale for each output channel and the zero point 0.

    Biases stay as they are: TensorRT refuses quantized ones, and engines for CPUs quantize them as they need.
    """
    weight = constant_array(layer.inputs[WEIGHT])
    assert weight is not None  # placements hold layers with constant weights alone
    axis = _channel_axis(layer)
    others = tuple(i for i in range(weight.ndim) if i != axis)
    scale = (np.abs(weight).max(axis=others) / np.float32(LARGEST)).astype(np.float32)
    scale[scale == 0] = 1
    codes = np.round(weight / np.expand_dims(scale, others)).astype(np.int8)
    parts = {"codes": codes, "scale": scale, "zero_point": np.zeros(scale.shape, np.int8)}
    constants = [builder.constant(f"{layer.name}.weight.{word}", array) for word, array in parts.items()]
    name = f"{layer.name}.weight.again"
    again = builder.before(layer, "DequantizeLinear", constants, name, {"axis": axis}, DataType.FLOAT)
    layer.replace_input_with(WEIGHT, again)


def _channel_axis(layer: onnx_ir.Node) -> int:
    """Where a layer's weights hold the output channels; those of a grouped ConvTranspose share scales across groups."""
    if layer.op_type == "Gemm":
        return 0 if layer.attributes.get_int("transB", 0) else 1
    return {"Conv": 0, "ConvTranspose": 1}[layer.op_type]
