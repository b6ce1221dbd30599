"""Moves activations in front of the interleaving of phases: there engines fuse them into the convolutions."""

from typing import Literal

import onnx_ir
from onnx_ir.passes import common

from ganport_export.passes.builder import Builder
from ganport_export.passes.inspect_nodes import constant_array, infer_shapes, is_operator, label

__all__ = ["Place", "activation_before_interleave"]

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
