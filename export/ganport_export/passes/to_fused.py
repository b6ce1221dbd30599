"""The form `fused`: what the engines of CPUs turn into one kernel stands side by side, and what is left moves bytes.

Wide transposed convolutions become four phases, narrow ones one sub-pixel convolution; activations come before the
interleaving, and the pixels are rounded before it too. Not for TensorRT, which quantizes to int8 alone.
"""

import numpy as np
import numpy.typing as npt
import onnx_ir
from onnx_ir.passes import common

from ganport_export.passes.builder import Builder
from ganport_export.passes.graph_view import (
    ACTIVATIONS,
    constant_array,
    infer_shapes,
    is_operator,
    label,
    only_reader,
    opset_version,
)
from ganport_export.passes.pixels_in_uint8 import pixels_in_uint8
from ganport_export.passes.to_phase import OLDEST_OPSET, OPERATOR, PARITIES, to_phase
from ganport_export.passes.transposed_convolution import (
    Axis,
    LeftError,
    TransposedConvolution,
    axis_phase,
    phase_kernel,
    read_transposed_convolution,
)

AT_ONCE = 16  # channels that a convolution computes together: the float32 numbers in a register of 512 bits


def to_subpixel(model: onnx_ir.Model, widest: int = AT_ONCE) -> None:
    """Replace every ConvTranspose of stride 2 whose four phases have `widest` channels or fewer, in place.

    Exact, up to the order of additions. Others stay, and so do those in groups, of odd output sizes, with a computed
    bias, or whose padding leaves inputs unread: `to_phase`, which comes after it, treats them all.
    """
    infer_shapes(model)
    builder = Builder(model)
    for node in [node for node in model.graph if is_operator(node, OPERATOR)]:
        try:
            layer = read_transposed_convolution(node)
        except LeftError:
            continue
        if len(PARITIES) * layer.channels <= widest and _fits(model, node, layer):
            _replace(node, layer, builder)
    common.RemoveUnusedNodesPass()(model)
    infer_shapes(model)


def _fits(model: onnx_ir.Model, node: onnx_ir.Node, layer: TransposedConvolution) -> bool:
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    plain = layer.groups == 1 and (bias is None or constant_array(bias) is not None)
    spans = [_Span(axis) for axis in (layer.height, layer.width)]
    new_enough = opset_version(model) >= OLDEST_OPSET
    return plain and new_enough and all(span.whole for span in spans)


class _Span:
    """What the convolution reads along one axis: the inputs of both phases."""

    def __init__(self, axis: Axis) -> None:
        self.phases = [axis_phase(axis, parity) for parity in (0, 1)]
        self.before = max(phase.before for phase in self.phases)
        self.after = max(phase.after for phase in self.phases)
        first = self.phases[0]
        growth = first.before + first.after - len(first.taps) + 1  # the same for both phases
        self.kernel = self.before + self.after - growth + 1
        self.whole = not axis.odd and min(self.before, self.after) >= 0 and all(phase.taps for phase in self.phases)

    def places(self, parity: int) -> slice:
        """Where a phase's taps lie in the kernel."""
        phase = self.phases[parity]
        start = self.before - phase.before
        return slice(start, start + len(phase.taps))


def _replace(node: onnx_ir.Node, layer: TransposedConvolution, builder: Builder) -> None:
    name, dtype = label(node), node.outputs[0].dtype
    height, width = _Span(layer.height), _Span(layer.width)
    weight = builder.constant(f"{name}.weight", _kernel(layer, height, width))
    bias = constant_array(node.inputs[2]) if len(node.inputs) > 2 else None
    repeated = None if bias is None else builder.constant(f"{name}.bias", np.tile(bias, len(PARITIES)))
    attributes = {
        "kernel_shape": [height.kernel, width.kernel],
        "pads": [height.before, width.before, height.after, width.after],
    }
    stacked = builder.before(node, "Conv", [node.inputs[0], weight, repeated], f"{name}.phases", attributes, dtype)
    order = {"blocksize": 2, "mode": "DCR"}
    builder.replace(node, builder.before(node, "DepthToSpace", [stacked], f"{name}.interleave", order, dtype))


def _kernel(layer: TransposedConvolution, height: _Span, width: _Span) -> npt.NDArray[np.generic]:
    """[4 * out, in, height, width]: phase after phase, each with its taps in place and zeros around them."""
    inputs = layer.weight.shape[0]
    kernel = np.zeros((len(PARITIES), layer.channels, inputs, height.kernel, width.kernel), layer.weight.dtype)
    for index, (row, column) in enumerate(PARITIES):
        rows, columns = height.phases[row].taps, width.phases[column].taps
        taps = phase_kernel(layer.weight, layer.groups, rows, columns)
        kernel[index, :, :, height.places(row), width.places(column)] = taps
    return kernel.reshape(-1, *kernel.shape[2:])


BIAS = 2  # position among the inputs


def separate_shared_biases(model: onnx_ir.Model) -> None:
    """Copy each constant bias that several nodes read, in place: OpenVINO fuses a bias that one node reads."""
    builder = Builder(model)
    for node in model.graph:
        if is_operator(node, "Conv", "Gemm") and len(node.inputs) > BIAS:
            bias = node.inputs[BIAS]
            array = constant_array(bias)
            if bias is not None and array is not None and len(bias.uses()) > 1:
                node.replace_input_with(BIAS, builder.constant(f"{label(node)}.bias", array))


def activation_before_interleave(model: onnx_ir.Model) -> tuple[str, ...]:
    """Move every activation that follows a DepthToSpace, or the crop after it, in front of it, in place.

    An activation looks at one value at a time, so that it may come before values change places or are left out. Where
    convolutions are stacked, each gets one. Comes after `pixels_in_uint8`, which looks for the last activation.
    """
    builder, left = Builder(model), []
    for interleave in [node for node in model.graph if is_operator(node, "DepthToSpace")]:
        while (activation := _activation_after(interleave)) is not None:
            reason = _obstacle(interleave, activation)
            if reason is not None:
                left.append(f"{activation.op_type} {label(activation)!r} stays after its interleaving: {reason}")
                break
            _move(activation, interleave, builder)
    common.TopologicalSortPass()(model)  # limits of a Clip may be made later than the convolutions
    infer_shapes(model)
    return tuple(left)


def _activation_after(interleave: onnx_ir.Node) -> onnx_ir.Node | None:
    """An activation that reads what a DepthToSpace makes, whole or cropped."""
    readers = interleave.outputs[0].consumers()
    if len(readers) == 1 and is_operator(readers[0], "Slice") and readers[0].inputs[0] is interleave.outputs[0]:
        readers = readers[0].outputs[0].consumers()
    return next((node for node in readers if is_operator(node, *ACTIVATIONS)), None)


def _obstacle(interleave: onnx_ir.Node, activation: onnx_ir.Node) -> str | None:
    source, *limits = activation.inputs
    between = (interleave.outputs[0], source)  # one and the same where nothing is cropped
    if any(value is None or only_reader(value) is None for value in between):
        return "what it reads goes elsewhere too"
    if any(limit is not None and constant_array(limit) is None for limit in limits):
        return "its limits are computed"
    return None


def _move(activation: onnx_ir.Node, interleave: onnx_ir.Node, builder: Builder) -> None:
    source, *limits = activation.inputs
    assert source is not None
    stack = interleave.inputs[0].producer() if interleave.inputs[0] is not None else None
    stacked = stack is not None and is_operator(stack, "Concat") and only_reader(stack.outputs[0]) is interleave
    reader = stack if stacked and stack is not None else interleave
    for index, value in enumerate(reader.inputs):
        assert value is not None
        producer = value.producer()
        name = f"{value.name if producer is None else label(producer)}.{activation.op_type}"
        inputs = [value, *limits]
        moved = builder.before(reader, activation.op_type, inputs, name, dict(activation.attributes), value.dtype)
        reader.replace_input_with(index, moved)
    builder.replace(activation, source)


def activation_before_reshape(model: onnx_ir.Model) -> None:
    """Swap every Reshape with the activation that alone reads it, in place: engines fuse it into the layer before."""
    for reshape in [node for node in model.graph if is_operator(node, "Reshape")]:
        reader = only_reader(reshape.outputs[0])
        if reader is not None and is_operator(reader, *ACTIVATIONS):
            _swap(model.graph, reshape, reader)
    infer_shapes(model)


def _swap(graph: onnx_ir.Graph, reshape: onnx_ir.Node, activation: onnx_ir.Node) -> None:
    """The values keep their names, so that a graph's output stays one."""
    before, between, after = reshape.inputs[0], reshape.outputs[0], activation.outputs[0]
    for use in after.uses():
        use.node.replace_input_with(use.idx, between)
    between.name, after.name = after.name, between.name
    if after.is_graph_output():
        index = list(graph.outputs).index(after)
        graph.outputs[index] = between
    after.shape, between.shape = (None if before is None else before.shape), after.shape
    activation.replace_input_with(0, before)
    reshape.replace_input_with(0, after)
    graph.remove(reshape)
    graph.insert_after(activation, reshape)


def to_fused(model: onnx_ir.Model) -> tuple[str, ...]:
    """Put a generator's graph into this form, in place; what it computes stays, up to rounding."""
    to_subpixel(model)
    left = to_phase(model)
    as_before = pixels_in_uint8(model)
    after = activation_before_interleave(model)
    activation_before_reshape(model)
    separate_shared_biases(model)
    return (*left, *as_before, *after)
