"""Passes leave a graph's further outputs what they were: their names, and their values."""

import numpy as np
import onnx_ir
import pytest
from ganport_export.passes.fold_batch_norm import fold_batch_norm
from ganport_export.passes.to_fused import to_fused

from tests.export.graphs import model_of, node, norm, operators, run, statistics, weights


def with_output(model: onnx_ir.Model, name: str) -> onnx_ir.Model:
    """The model with one of its values as a second output."""
    value = next(value for node in model.graph for value in node.outputs if value.name == name)
    value.type = onnx_ir.TensorType(onnx_ir.DataType.FLOAT)
    model.graph.outputs.append(value)
    return model


def test_a_product_that_is_an_output_keeps_its_name() -> None:
    nodes = [node("MatMul", ["x", "w"], ["product"], "matmul"), node("Relu", ["product"], ["y"], "relu")]
    model = with_output(model_of(nodes, {"w": weights(np.random.default_rng(0), 4, 3)}, (4,)), "product")
    fold_batch_norm(model)
    assert operators(model) == ["Gemm", "Relu"]
    assert [value.name for value in model.graph.outputs] == ["y", "product"]


def test_a_reshaped_map_that_is_an_output_stays_before_its_activation() -> None:
    nodes = [node("Reshape", ["x", "shape"], ["map"], "reshape"), node("Relu", ["map"], ["y"], "relu")]
    model = with_output(model_of(nodes, {"shape": np.array([-1, 2, 3])}, (6,)), "map")
    to_fused(model)
    assert operators(model) == ["Reshape", "Relu"]
    assert [value.name for value in model.graph.outputs] == ["y", "map"]


def test_stacked_phases_that_are_an_output_keep_their_values() -> None:
    nodes = [
        node("Concat", ["x", "x"], ["stack"], "concat", axis=1),
        node("DepthToSpace", ["stack"], ["map"], "interleave", blocksize=2),
        node("Relu", ["map"], ["y"], "relu"),
    ]
    model = with_output(model_of(nodes, {}, (2, 3, 3)), "stack")
    to_fused(model)
    (stack,) = (node for node in model.graph if node.op_type == "Concat")
    assert list(stack.inputs) == [model.graph.inputs[0]] * 2


@pytest.mark.parametrize("batch", [1, 3])
def test_batch_norm_is_folded_in_a_graph_of_one_batch_size_alone(batch: int) -> None:
    random = np.random.default_rng(0)
    nodes = [
        node("Gemm", ["x", "w"], ["flat"], "gemm"),
        node("Reshape", ["flat", "shape"], ["map"], "reshape"),
        norm("map", "y"),
    ]
    constants = {"w": weights(random, 4, 18), "shape": np.array([batch, 2, 3, 3]), **statistics(2, random)}
    model, x = model_of(nodes, constants, (4,)), weights(random, batch, 4)
    model.graph.inputs[0].shape = onnx_ir.Shape([batch, 4])
    wanted = run(model, x)
    assert fold_batch_norm(model) == ()
    assert operators(model) == ["Gemm", "Reshape"]
    np.testing.assert_allclose(run(model, x), wanted, rtol=1e-5, atol=1e-5)
