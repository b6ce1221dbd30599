"""Writes the dense layer of a batch of vectors, MatMul and its Add, as the one Gemm that PyTorch's layers become."""

import onnx_ir

from ganport_export.passes.layers import constant_array

__all__ = ["matmul_to_gemm"]


def matmul_to_gemm(model: onnx_ir.Model) -> None:
    """Replace each MatMul of [batch, in] with constant [in, out] weights, and a constant bias after it, in place."""
    for matmul in [node for node in model.graph if node.op_type == "MatMul"]:
        if _is_dense(matmul):
            add = _bias_add(matmul)
            _replace(model.graph, matmul, add)


def _is_dense(matmul: onnx_ir.Node) -> bool:
    left, right = matmul.inputs
    weight = constant_array(right)
    matrix = left is not None and left.shape is not None and len(left.shape) == 2
    return matrix and weight is not None and weight.ndim == 2


def _bias_add(matmul: onnx_ir.Node) -> onnx_ir.Node | None:
    """The only node that reads the product, where it adds one constant to each column."""
    consumers, product = matmul.outputs[0].consumers(), matmul.outputs[0]
    if len(consumers) != 1 or consumers[0].op_type != "Add" or product.is_graph_output():
        return None
    bias = constant_array(_other_input(consumers[0], product))
    outputs = constant_array(matmul.inputs[1])
    return consumers[0] if bias is not None and outputs is not None and bias.shape == outputs.shape[1:] else None


def _other_input(add: onnx_ir.Node, value: onnx_ir.Value) -> onnx_ir.Value | None:
    return add.inputs[1] if add.inputs[0] is value else add.inputs[0]


def _replace(graph: onnx_ir.Graph, matmul: onnx_ir.Node, add: onnx_ir.Node | None) -> None:
    last = matmul if add is None else add
    bias = [] if add is None else [_other_input(add, matmul.outputs[0])]
    gemm = onnx_ir.node("Gemm", [*matmul.inputs, *bias], name=matmul.name)
    made, old = gemm.outputs[0], last.outputs[0]
    made.shape, made.type = old.shape, old.type
    made.name, old.name = old.name, None  # an output of the graph is known by its name
    graph.insert_before(last, gemm)
    onnx_ir.convenience.replace_all_uses_with(old, made, replace_graph_outputs=True)
    for node in (last, matmul) if add is not None else (matmul,):
        graph.remove(node, safe=True)
