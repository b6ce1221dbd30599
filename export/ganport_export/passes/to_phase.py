"""Makes four ordinary convolutions, interleaved, of each transposed convolution of stride 2: the form `phase`.

Engines have fast int8 and bf16 paths for Conv and none for ConvTranspose. Each convolution makes the outputs of one
parity of row and column; stacked on channels, phase by phase, DepthToSpace in its mode DCR puts them in their places.
"""

import itertools
from collections.abc import Mapping
from functools import partial

import numpy as np
import onnx_ir
from onnx_ir.passes import common

from ganport_export.passes.builder import Builder
from ganport_export.passes.graph_view import infer_shapes, is_operator, label, nested_nodes, opset_version
from ganport_export.passes.transposed_convolution import (
    AxisPhase,
    LeftError,
    TransposedConvolution,
    axis_phase,
    phase_kernel,
    read_transposed_convolution,
)

OPERATOR = "ConvTranspose"
OLDEST_OPSET = 11  # DepthToSpace has no mode before
HEIGHT, WIDTH = 2, 3  # axes of [batch, channels, height, width]
TO_THE_END = np.iinfo(np.int64).max
PARITIES = tuple(itertools.product((0, 1), (0, 1)))  # of row and column, in the order in which DepthToSpace takes them

Crop = Mapping[int, tuple[int, int]]  # how much an axis loses at its start and at its end


def to_phase(model: onnx_ir.Model) -> tuple[str, ...]:
    """Replace every ConvTranspose of stride 2 by convolutions, in place: exact, up to the order of additions.

    An output of odd size is made one row or column larger, and cropped. Best after
    `fold_batch_norm`, which folds into one transposed convolution and not into four convolutions.
    """
    infer_shapes(model)
    builder, left = Builder(model), []
    for node in [node for node in model.graph if is_operator(node, OPERATOR)]:
        try:
            if (opset := opset_version(model)) < OLDEST_OPSET:
                raise LeftError(f"the graph is of opset {opset}, and the form needs {OLDEST_OPSET} or later")
            _Replacement(node, read_transposed_convolution(node), builder).put()
        except LeftError as reason:
            left.append(f"transposed convolution {label(node)!r} stays as it is: {reason}")
    for node, where in nested_nodes(model, OPERATOR):
        left.append(f"transposed convolution {label(node)!r} stays as it is: it is inside {where}")
    common.RemoveUnusedNodesPass()(model)
    infer_shapes(model)
    return tuple(left)


class _Replacement:
    """The nodes that take the place of one transposed convolution, inserted before it as they are made."""

    def __init__(self, node: onnx_ir.Node, layer: TransposedConvolution, builder: Builder) -> None:
        self._node, self._layer, self._builder = node, layer, builder
        self._add = partial(builder.before, node, dtype=node.outputs[0].dtype)
        self._cropped: dict[tuple[object, ...], onnx_ir.Value] = {}
        data, _, bias = (*node.inputs, None)[:3]
        assert data is not None  # a convolution's input is not optional
        self._data, self._bias = data, bias

    def put(self) -> None:
        """Make them all, and remove the node."""
        name, layer = label(self._node), self._layer
        stacked = self._add("Concat", self._phases(), f"{name}.phases", {"axis": 1})
        image = self._add("DepthToSpace", [stacked], f"{name}.interleave", {"blocksize": 2, "mode": "DCR"})
        odd = {axis: (0, 1) for axis, along in ((HEIGHT, layer.height), (WIDTH, layer.width)) if along.odd}
        self._builder.replace(self._node, self._crop(image, odd, f"{name}.crop"))

    def _phases(self) -> list[onnx_ir.Value]:
        """Four tensors of one shape; a parity that meets no tap is the bias alone."""
        phases = {
            parity: (axis_phase(self._layer.height, parity[0]), axis_phase(self._layer.width, parity[1]))
            for parity in PARITIES
        }
        made = {
            parity: self._convolve(f"{label(self._node)}.phase_{parity[0]}_{parity[1]}", rows, columns)
            for parity, (rows, columns) in phases.items()
            if rows.taps and columns.taps
        }
        like = next(iter(made.values()))  # the parity that meets tap 0 is always there
        for parity in PARITIES:
            if parity not in made:
                made[parity] = self._bias_alone(f"{label(self._node)}.phase_{parity[0]}_{parity[1]}", like)
        return [made[parity] for parity in PARITIES]

    def _convolve(self, name: str, rows: AxisPhase, columns: AxisPhase) -> onnx_ir.Value:
        layer = self._layer
        kernel = phase_kernel(layer.weight, layer.groups, rows.taps, columns.taps)
        weight = self._builder.constant(f"{name}.weight", kernel)
        crop = {
            axis: (-min(phase.before, 0), -min(phase.after, 0))
            for axis, phase in ((HEIGHT, rows), (WIDTH, columns))
            if phase.left_out
        }
        source = self._crop(self._data, crop, f"{name}.input")
        pads = [max(pad, 0) for pad in (rows.before, columns.before, rows.after, columns.after)]
        attributes = {"kernel_shape": list(kernel.shape[2:]), "pads": pads, "group": layer.groups}
        return self._add("Conv", [source, weight, self._bias], name, attributes)

    def _bias_alone(self, name: str, like: onnx_ir.Value) -> onnx_ir.Value:
        layer, constant = self._layer, self._builder.constant
        if self._bias is None:
            row = constant(f"{name}.bias", np.zeros((1, layer.channels, 1, 1), layer.weight.dtype))
        else:
            shape = constant(f"{name}.bias_shape", np.array([1, layer.channels, 1, 1]))
            row = self._add("Reshape", [self._bias, shape], f"{name}.bias")
        size = self._builder.before(self._node, "Shape", [like], f"{name}.size", dtype=onnx_ir.DataType.INT64)
        return self._add("Expand", [row, size], name)

    def _crop(self, value: onnx_ir.Value, crop: Crop, name: str) -> onnx_ir.Value:
        """The value without the outermost rows and columns; phases that lose the same ones share it."""
        if not crop:
            return value
        key = value, *crop.items()
        if key not in self._cropped:
            starts, ends = zip(*((start, -end or TO_THE_END) for start, end in crop.values()), strict=True)
            columns = {"starts": starts, "ends": ends, "axes": tuple(crop)}
            inputs = [self._builder.constant(f"{name}.{word}", np.array(row)) for word, row in columns.items()]
            self._cropped[key] = self._add("Slice", [value, *inputs], name)
        return self._cropped[key]
