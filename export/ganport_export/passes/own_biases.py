"""Gives every layer a bias constant of its own: OpenVINO fuses a bias into its convolution where nothing else reads it.

Four phases that share one leave it to a node of its own after each convolution.
"""

import onnx_ir

from ganport_export.passes.builder import Builder
from ganport_export.passes.inspect_nodes import constant_array, is_operator, label

__all__ = ["own_biases"]

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
