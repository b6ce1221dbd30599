"""The form `fused`: what the engines of CPUs turn into one kernel stands side by side, and what is left moves bytes.

Wide transposed convolutions become four phases, narrow ones one sub-pixel convolution; activations come before the
interleaving, and the pixels are rounded before it too. Not for TensorRT, which quantizes to int8 alone.
"""

from typing import Literal

import onnx_ir
from onnx_ir.passes import common

from ganport_export.passes.builder import Builder
from ganport_export.passes.graph_view import constant_array, infer_shapes, is_operator, label
from ganport_export.passes.pixels_in_uint8 import pixels_in_uint8
from ganport_export.passes.to_phase import to_phase
from ganport_export.passes.to_subpixel import to_subpixel

BIAS = 2  # position among the inputs


def own_biases(model: onnx_ir.Model) -> None:
    """Copy each constant bias that several nodes read, in place; what the model computes stays."""
    builder = Builder(model)
    for node in model.graph:
        if is_operator(node, "Conv", "Gemm") and len(node.inputs) > BIAS:
            bias = node.inputs[BIAS]
            array = constant_array(bias)
            if bias is not None and array is not None and len(bias.uses()) > 1:
                node.replace_input_with(BIAS, builder.constant(f"{label(node)}.bias", array))


Place = Literal["convolutions", "stack"]

ACTIVATIONS = ("Relu", "LeakyRelu", "Tanh", "Sigmoid", "Clip", "Elu", "Selu", "HardSigmoid", "HardSwish", "Softplus")


def activation_before_interleave(model: onnx_ir.Model, place: Place = "convolutions") -> tuple[str, ...]:
    """Move every activation that follows a DepthToSpace, or the crop after it, in front of it, in place.

    An activation looks at one value at a time, so that it may come before values change places or are left out.

    Args:
        model: any graph, one that `to_phase` has treated mostly.
        place: `convolutions`: one activation on each tensor that is stacked for the interleaving; `stack`: one on
            them together. Where nothing is stacked, both come to the same.

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
            _move(activation, interleave, place, builder)
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
    if any(value is None or len(value.uses()) > 1 or value.is_graph_output() for value in between):
        return "what it reads goes elsewhere too"
    if any(limit is not None and constant_array(limit) is None for limit in limits):
        return "its limits are computed"
    return None


def _read_here_alone(value: onnx_ir.Value) -> bool:
    return len(value.uses()) == 1 and not value.is_graph_output()


def _move(activation: onnx_ir.Node, interleave: onnx_ir.Node, place: Place, builder: Builder) -> None:
    source, *limits = activation.inputs
    assert source is not None
    stack = interleave.inputs[0].producer() if interleave.inputs[0] is not None else None
    stacked = stack is not None and is_operator(stack, "Concat") and _read_here_alone(stack.outputs[0])
    reader = stack if place == "convolutions" and stacked and stack is not None else interleave
    for index, value in enumerate(reader.inputs):
        assert value is not None
        producer = value.producer()
        name = f"{value.name if producer is None else label(producer)}.{activation.op_type}"
        inputs = [value, *limits]
        moved = builder.before(reader, activation.op_type, inputs, name, dict(activation.attributes), value.dtype)
        reader.replace_input_with(index, moved)
    builder.replace(activation, source)


def activation_before_reshape(model: onnx_ir.Model) -> None:
    """Swap every Reshape with the activation that alone reads it, in place; what the model computes stays."""
    for reshape in [node for node in model.graph if is_operator(node, "Reshape")]:
        made = reshape.outputs[0]
        readers = made.consumers()
        if len(made.uses()) == 1 and not made.is_graph_output() and is_operator(readers[0], *ACTIVATIONS):
            _swap(model.graph, reshape, readers[0])
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
    as_before = pixels_in_uint8(model)  # first: it looks for the last activation where the network has it
    after = activation_before_interleave(model)
    activation_before_reshape(model)
    own_biases(model)
    return (*left, *as_before, *after)
