"""A transposed convolution that cannot be put into phases stays as it is, and is named with why."""

from collections.abc import Callable

import numpy as np
import onnx
import onnx_ir
import pytest
from ganport_export.passes.to_phase import to_phase
from onnx import TensorProto, helper

from tests.export.deconv_graphs import Attributes, conv_transpose, model_of_doubles
from tests.export.graphs import model_of, operators, run, weights

Nodes = list[onnx.NodeProto]


def branch() -> onnx.GraphProto:
    node = helper.make_node("ConvTranspose", ["x", "w"], ["inner"], "nested", strides=[2, 2])
    return helper.make_graph([node], "branch", [], [helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)])


LEFT: dict[str, tuple[Callable[[], Nodes], tuple[int, ...], tuple[int, ...], str]] = {
    "stride 1": (lambda: [conv_transpose(strides=[1, 1])], (2, 3, 3, 3), (2, 4, 4), "its stride is [1, 1]"),
    "no stride": (
        lambda: [helper.make_node("ConvTranspose", ["x", "w"], ["y"], "layer")], (2, 3, 3, 3), (2, 4, 4),
        "its stride is [1, 1]",
    ),
    "stride 3": (lambda: [conv_transpose(strides=[3, 3])], (2, 3, 3, 3), (2, 4, 4), "its stride is [3, 3]"),
    "one way": (lambda: [conv_transpose(strides=[2, 1])], (2, 3, 3, 3), (2, 4, 4), "its stride is [2, 1]"),
    "dilated": (lambda: [conv_transpose(dilations=[2, 2])], (2, 3, 3, 3), (2, 4, 4), "dilated by [2, 2]"),
    "1-D": (lambda: [conv_transpose(strides=[2])], (2, 3, 3), (2, 4), "it is 1-D"),
    "3-D": (lambda: [conv_transpose(strides=[2, 2, 2])], (2, 3, 3, 3, 3), (2, 4, 4, 4), "it is 3-D"),
    "computed weights": (
        lambda: [
            helper.make_node("Tanh", ["w"], ["v"]),
            helper.make_node("ConvTranspose", ["x", "v"], ["y"], "layer", strides=[2, 2]),
        ],
        (2, 3, 3, 3), (2, 4, 4), "its weights are computed",
    ),
    "a subgraph": (
        lambda: [
            helper.make_node("ReduceMax", ["x"], ["max"], keepdims=0),
            helper.make_node("Cast", ["max"], ["condition"], to=TensorProto.BOOL),
            helper.make_node("If", ["condition"], ["y"], "choice", then_branch=branch(), else_branch=branch()),
        ],
        (2, 3, 3, 3), (2, 4, 4), "'nested' stays as it is: it is inside a subgraph",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LEFT)
def test_what_cannot_be_treated_stays_with_a_reason(name: str) -> None:
    make, shape, sizes, said = LEFT[name]
    random = np.random.default_rng(8)
    model = model_of(make(), {"w": weights(random, *shape)}, sizes)
    x = weights(random, 2, *sizes)
    before, nodes = run(model, x), operators(model)
    left = to_phase(model)
    assert left
    assert all(said in line for line in left)
    assert operators(model) == nodes
    np.testing.assert_array_equal(run(model, x), before)


def test_a_fixed_output_of_a_dynamic_input_stays() -> None:
    node = conv_transpose(output_shape=[8, 8])
    model = model_of_doubles(node, {"w": np.ones((2, 3, 4, 4))}, 2)
    (line,) = to_phase(model)
    assert "'layer' stays as it is: it fixes its output's size, and its input's is known only as it runs" in line


def test_an_old_opset_and_weights_that_the_caller_may_give_stay() -> None:
    made = model_of([conv_transpose()], {"w": weights(np.random.default_rng(9), 2, 3, 4, 4)}, (2, 4, 4))
    old = onnx_ir.serde.serialize_model(made)
    old.opset_import[0].version = 9
    (line,) = to_phase(onnx_ir.serde.deserialize_model(old))
    assert "the graph is of opset 9, and the form needs 11 or later" in line
    open_weights = onnx_ir.serde.serialize_model(made)
    open_weights.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [2, 3, 4, 4]))
    (line,) = to_phase(onnx_ir.serde.deserialize_model(open_weights))
    assert "its weights are computed" in line


@pytest.mark.parametrize("attributes", [{"auto_pad": "SAME_UPPER"}, {"output_shape": [8, 10]}], ids=str)
def test_an_output_that_the_kernel_does_not_fill_stays(attributes: Attributes) -> None:
    random = np.random.default_rng(2)
    model = model_of([conv_transpose(**attributes)], {"w": weights(random, 2, 3, 1, 1)}, (2, 4, 5))
    (line,) = to_phase(model)
    assert "it wants a larger output than its kernel makes" in line
    assert operators(model) == ["ConvTranspose"]
