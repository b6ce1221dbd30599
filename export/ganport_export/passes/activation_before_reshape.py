"""Moves activations in front of a reshape: there engines fuse them into the dense layer that comes before."""

import onnx_ir

from ganport_export.passes.activation_before_interleave import ACTIVATIONS
from ganport_export.passes.inspect_nodes import infer_shapes, is_operator

__all__ = ["activation_before_reshape"]


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
