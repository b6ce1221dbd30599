"""The form `fused`: what the engines of CPUs turn into one kernel stands side by side, and what is left moves bytes.

Wide transposed convolutions become four phases, narrow ones one sub-pixel convolution; activations come before the
interleaving, and the pixels are rounded before it too. Not for TensorRT, which quantizes to int8 alone.
"""

import onnx_ir
from onnx_ir.passes import common

from ganport_export.passes.builder import Builder
from ganport_export.passes.graph_view import ACTIVATIONS, constant_array, infer_shapes, is_operator, label, only_reader
from ganport_export.passes.pixels_in_uint8 import pixels_in_uint8
from ganport_export.passes.to_phase import to_phase
from ganport_export.passes.to_subpixel import to_subpixel

BIAS = 2  # position among the inputs


def separate_shared_biases(model: onnx_ir.Model) -> None:
    """Copy each constant bias that several nodes read, in place.

    OpenVINO fuses a bias into its convolution only where nothing else reads it. Needs `to_phase` before it, whose four
    phases share one.
    """
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
    convolutions are stacked for the interleaving, each gets one. Needs `to_phase` and `to_subpixel` before it, and
    `pixels_in_uint8`, which looks for the last activation where the network has it.

    Returns:
        One line for each activation after an interleaving that stays there, with the reason.
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
    """Swap every Reshape with the activation that alone reads it, in place.

    Engines fuse it into the dense layer before. Needs `activation_before_interleave` before it.
    """
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
    """Put a generator's graph into this form, in place; what it computes stays, up to rounding.

    Returns:
        One line for each node that stays as it is, with the reason.
    """
    to_subpixel(model)
    left = to_phase(model)
    as_before = pixels_in_uint8(model)
    after = activation_before_interleave(model)
    activation_before_reshape(model)
    separate_shared_biases(model)
    return (*left, *as_before, *after)
