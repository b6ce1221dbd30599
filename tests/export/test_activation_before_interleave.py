"""An activation moves in front of the interleaving where nothing else sees the difference, and stays elsewhere."""

from typing import Any

import numpy as np
import onnx
import onnx_ir
import pytest
from ganport_export.passes.to_fused import activation_before_interleave
from ganport_export.passes.to_phase import to_phase
from numpy.typing import NDArray
from onnx import helper

from tests.export.graphs import model_of, operators, run, weights

LIMITS: dict[str, NDArray[np.generic]] = {"low": np.array(-0.5, np.float32), "high": np.array(0.25, np.float32)}


def phases_then(*nodes: onnx.NodeProto, kernel: int = 4) -> onnx_ir.Model:
    """A transposed convolution from `x` to `h` in phases, and what follows it."""
    random = np.random.default_rng(0)
    layer = helper.make_node("ConvTranspose", ["x", "w", "b"], ["h"], "layer", strides=[2, 2], pads=[1] * 4)
    constants = {"w": weights(random, 2, 3, kernel, kernel), "b": weights(random, 3), **LIMITS}
    model = model_of([layer, *nodes], constants, (2, 3, 3))
    assert to_phase(model) == ()
    return model


def activation(operator: str, x: str = "h", y: str = "y", **attributes: Any) -> onnx.NodeProto:
    limits = ["low", "high"] if operator == "Clip" else []
    return helper.make_node(operator, [x, *limits], [y], f"the_{operator.lower()}", **attributes)


@pytest.mark.parametrize("kernel", [1, 3, 4])
@pytest.mark.parametrize("operator", ["Relu", "LeakyRelu", "Tanh", "Sigmoid", "Clip"])
def test_activations_move_and_change_nothing(operator: str, kernel: int) -> None:
    attributes: dict[str, Any] = {"alpha": 0.3} if operator == "LeakyRelu" else {}
    model = phases_then(activation(operator, **attributes), kernel=kernel)
    x = weights(np.random.default_rng(1), 2, 2, 3, 3)
    before = run(model, x)
    assert activation_before_interleave(model) == ()
    onnx.checker.check_model(onnx_ir.serde.serialize_model(model), full_check=True)
    names = operators(model)
    assert names.count(operator) == 4
    assert max(i for i, name in enumerate(names) if name == operator) < names.index("DepthToSpace")
    np.testing.assert_array_equal(run(model, x), before)


def test_several_activations_keep_their_order() -> None:
    model = phases_then(activation("Clip", y="c"), activation("Tanh", x="c"))
    x = weights(np.random.default_rng(2), 2, 2, 3, 3)
    before = run(model, x)
    assert activation_before_interleave(model) == ()
    assert operators(model)[-2:] == ["Concat", "DepthToSpace"]
    np.testing.assert_array_equal(run(model, x), before)
    assert "layer.phase_0_1.Clip.Tanh" in [node.name for node in model.graph]


def test_what_something_else_reads_or_decides_stays() -> None:
    elsewhere = phases_then(activation("Relu", y="r"), helper.make_node("Add", ["h", "r"], ["y"]))
    (line,) = activation_before_interleave(elsewhere)
    assert line == "Relu 'the_relu' stays after its interleaving: what it reads goes elsewhere too"
    computed = phases_then(
        helper.make_node("ReduceMax", ["x"], ["top"], keepdims=0),
        helper.make_node("Clip", ["h", "", "top"], ["y"], "cut"),
    )
    (line,) = activation_before_interleave(computed)
    assert line == "Clip 'cut' stays after its interleaving: its limits are computed"
    shown = phases_then(activation("Relu"))
    shown.graph.outputs.append(next(node for node in shown.graph if node.op_type == "DepthToSpace").outputs[0])
    assert "goes elsewhere too" in activation_before_interleave(shown)[0]


def test_other_operators_stay_where_they_are() -> None:
    model = phases_then(helper.make_node("Softmax", ["h"], ["y"], axis=1))
    assert activation_before_interleave(model) == ()
    assert operators(model)[-2:] == ["DepthToSpace", "Softmax"]


def test_a_depth_to_space_without_a_stack_takes_it_on_its_input() -> None:
    conv = helper.make_node("Conv", ["x", "w"], ["c"], "conv")
    shuffle = helper.make_node("DepthToSpace", ["c"], ["h"], "shuffle", blocksize=2, mode="CRD")
    model = model_of(
        [conv, shuffle, activation("Relu")], {"w": weights(np.random.default_rng(3), 8, 2, 1, 1)}, (2, 3, 3)
    )
    x = weights(np.random.default_rng(4), 2, 2, 3, 3)
    before = run(model, x)
    assert activation_before_interleave(model) == ()
    assert [node.name for node in model.graph] == ["conv", "conv.Relu", "shuffle"]
    np.testing.assert_array_equal(run(model, x), before)
    assert model.graph.outputs[0].name == "y"
    assert model.graph.outputs[0].dtype == onnx_ir.DataType.FLOAT
