"""Makes pixels where the last convolution ends: the engine rounds them to uint8 as it writes them.

round((tanh(x) + 1) * 127.5), clipped to 0..255, is QuantizeLinear(sigmoid(2 x)) with scale 1/255 and zero point 0,
since (tanh(x) + 1) / 2 = sigmoid(2 x); the 2 goes into the weights, exactly. QuantizeLinear rounds half to even and
clips by its definition. What only moves values, interleaving above all, then moves bytes.
"""

from functools import partial

import numpy as np
import onnx_ir
from onnx_ir import DataType
from onnx_ir.passes import common

from ganport_export.passes.builder import Builder
from ganport_export.passes.graph_view import constant_array, infer_shapes, is_operator, label

INTERLEAVING = ("DepthToSpace", "Concat")
LAYERS = ("Conv", "ConvTranspose")
UINT8 = onnx_ir.TensorType(DataType.UINT8)


class _OtherStepsError(Exception):
    """What an output is made by in place of the steps that this pass knows."""


def pixels_in_uint8(model: onnx_ir.Model) -> tuple[str, ...]:
    """Let uint8 outputs be rounded before their values are moved, in place.

    Treated is [Tanh,] Add 1, Mul 127.5, Round, Clip to 0..255, [Transpose,] Cast to uint8, after layers whose outputs
    are interleaved, stacked, or neither. Comes after `to_phase` and before activations are moved.
    """
    infer_shapes(model)
    left = []
    for output in [output for output in model.graph.outputs if output.dtype == DataType.UINT8]:
        try:
            _treat(output, Builder(model))
        except _OtherStepsError as reason:
            left.append(f"output {output.name!r} is made as before: {reason}")
    common.TopologicalSortPass()(model)
    common.RemoveUnusedNodesPass()(model)
    infer_shapes(model)
    return tuple(left)


def _treat(output: onnx_ir.Value, builder: Builder) -> None:
    cast = _step(output, "Cast")
    transpose = _made_by(cast.inputs[0], "Transpose")
    clip = _step(cast.inputs[0] if transpose is None else transpose.inputs[0], "Clip")
    if [_number(value) for value in clip.inputs[1:]] != [0.0, 255.0]:
        raise _OtherStepsError(f"{label(clip)!r} does not clip to 0..255")
    scaled = _operand(_step(clip.inputs[0], "Round").inputs[0], "Mul", 127.5)
    image = _operand(scaled, "Add", 1.0)
    if image is None or image.dtype not in (None, DataType.FLOAT):
        raise _OtherStepsError("QuantizeLinear reads float32 alone in files of this age")
    tanh = _made_by(image, "Tanh")
    pixels = _Pixels(builder, squash=tanh is not None).of(image if tanh is None else tanh.inputs[0])
    if transpose is not None:
        transpose.replace_input_with(0, pixels)
        pixels = transpose.outputs[0]
        pixels.type = UINT8
    builder.replace(cast, pixels)


class _Pixels:
    """Turns values in [-1, 1], or those that Tanh would bring there (`squash`), into pixels."""

    def __init__(self, builder: Builder, *, squash: bool) -> None:
        self._constant, self._add = builder.constant, partial(builder.before, None)
        self._squash = squash

    def of(self, value: onnx_ir.Value | None) -> onnx_ir.Value:
        """The pixels of a value; steps that only move it are left to move pixels."""
        assert value is not None  # none of the inputs on the way is optional
        mover = _made_by(value, *INTERLEAVING)
        if mover is None:
            return self._squashed(value) if self._squash else self._shifted(value)
        for index, source in enumerate(mover.inputs):
            mover.replace_input_with(index, self.of(source))
        value.type = UINT8
        return value

    def _squashed(self, value: onnx_ir.Value) -> onnx_ir.Value:
        if not self._double_weights(value):
            two = self._constant(f"{value.name}.two", np.array(2, np.float32))
            value = self._add("Mul", [value, two], f"{value.name}.doubled", dtype=value.dtype)
        return self._rounded(self._add("Sigmoid", [value], f"{value.name}.sigmoid", dtype=value.dtype), 1 / 255)

    def _shifted(self, value: onnx_ir.Value) -> onnx_ir.Value:
        one = self._constant(f"{value.name}.one", np.array(1, np.float32))
        return self._rounded(self._add("Add", [value, one], f"{value.name}.shifted", dtype=value.dtype), 2 / 255)

    def _rounded(self, value: onnx_ir.Value, scale: float) -> onnx_ir.Value:
        step = self._constant(f"{value.name}.scale", np.array(scale, np.float32))
        zero = self._constant(f"{value.name}.zero_point", np.array(0, np.uint8))
        return self._add("QuantizeLinear", [value, step, zero], f"{value.name}.pixels", dtype=DataType.UINT8)

    def _double_weights(self, value: onnx_ir.Value) -> bool:
        """Let the layer that makes a value make twice as much, which changes no digit; False where it cannot."""
        layer = _made_by(value, *LAYERS)
        given = [] if layer is None else [(i, v) for i, v in enumerate(layer.inputs) if i > 0 and v is not None]
        arrays = {index: constant_array(constant) for index, constant in given}
        if layer is None or any(array is None for array in arrays.values()):
            return False
        for index, array in arrays.items():
            assert array is not None
            doubled = (2 * array).astype(array.dtype)
            layer.replace_input_with(index, self._constant(f"{label(layer)}.doubled", doubled))
        return True


def _step(value: onnx_ir.Value | None, op_type: str) -> onnx_ir.Node:
    """The node that makes a value, which is to be this operator, and which nothing else may read."""
    node = _made_by(value, op_type)
    if node is None:
        name = "nothing" if value is None else repr(value.name)
        raise _OtherStepsError(f"{name} is not the output of {op_type} for this step alone")
    return node


def _made_by(value: onnx_ir.Value | None, *op_types: str) -> onnx_ir.Node | None:
    """The node that makes a value, where it is one of these operators and the value is read once."""
    node = None if value is None else value.producer()
    if value is None or node is None or not is_operator(node, *op_types):
        return None
    return node if len(value.uses()) + value.is_graph_output() == 1 else None


def _operand(value: onnx_ir.Value | None, op_type: str, constant: float) -> onnx_ir.Value | None:
    node = _step(value, op_type)
    for one, other in (node.inputs, node.inputs[::-1]):
        if _number(other) == constant:
            return one
    raise _OtherStepsError(f"{label(node)!r} has no constant {constant:g}")


def _number(value: onnx_ir.Value | None) -> float | None:
    array = constant_array(value)
    return float(array.item()) if array is not None and array.size == 1 else None
