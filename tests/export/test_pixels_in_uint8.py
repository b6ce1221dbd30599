"""Pixels rounded before they are interleaved are those rounded after; other endings stay, with the reason."""

import numpy as np
import onnx
import onnx_ir
import pytest
from ganport_export.passes.pixels_in_uint8 import pixels_in_uint8
from ganport_export.passes.to_fused import separate_shared_biases, to_subpixel
from ganport_export.passes.to_phase import to_phase
from onnx import TensorProto, helper, numpy_helper

from tests.export.graphs import Array, operators, run, weights

UP = helper.make_node("ConvTranspose", ["x", "w", "b"], ["up"], "up", strides=[2, 2], pads=[1] * 4)
TANH = helper.make_node("Tanh", ["up"], ["squashed"], "tanh")


def ending(values: str, *, transposed: bool = True) -> list[onnx.NodeProto]:
    """The steps from values in [-1, 1] to pixels, as every exported generator has them."""
    nodes = [
        helper.make_node("Add", [values, "one"], ["shifted"], "add"),
        helper.make_node("Mul", ["half", "shifted"], ["scaled"], "mul"),
        helper.make_node("Round", ["scaled"], ["rounded"], "round"),
        helper.make_node("Clip", ["rounded", "low", "high"], ["clipped"], "clip"),
    ]
    if transposed:
        nodes.append(helper.make_node("Transpose", ["clipped"], ["moved"], "transpose", perm=[0, 2, 3, 1]))
    return [*nodes, helper.make_node("Cast", [nodes[-1].output[0]], ["y"], "cast", to=TensorProto.UINT8)]


def model_of_pixels(
    nodes: list[onnx.NodeProto], channels: int = 3, *, half: float = 127.5, highest: float = 255
) -> onnx_ir.Model:
    random = np.random.default_rng(0)
    numbers = {"one": 1.0, "half": half, "low": 0.0, "high": highest}
    constants = {name: np.float32(number) for name, number in numbers.items()}
    arrays = {"w": weights(random, 4, channels, 4, 4) / 2, "b": weights(random, channels)}
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.UINT8, None)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in (constants | arrays).items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return onnx_ir.serde.deserialize_model(proto)


def some_inputs() -> Array:
    return weights(np.random.default_rng(1), 16, 4, 4, 4)


def check_same_pixels(made: Array, wanted: Array) -> None:
    """A value on the edge of two pixels may fall to either side; no more."""
    assert made.dtype == wanted.dtype == np.uint8
    assert made.shape == wanted.shape
    difference = np.abs(made.astype(np.int16) - wanted)
    assert difference.max() <= 1
    assert np.mean(difference > 0) < 1e-3
    assert np.ptp(wanted) > 200


@pytest.mark.parametrize("channels", [3, 6])
@pytest.mark.parametrize("tanh", [True, False])
@pytest.mark.parametrize("transposed", [True, False])
@pytest.mark.parametrize("form", ["deconv", "interleaved"])
def test_pixels_stay_what_they_were(channels: int, tanh: bool, transposed: bool, form: str) -> None:
    nodes = [UP, *([TANH] if tanh else []), *ending("squashed" if tanh else "up", transposed=transposed)]
    model = model_of_pixels(nodes, channels)
    wanted = run(model, some_inputs())
    if form == "interleaved":
        to_subpixel(model)
        to_phase(model)
    assert pixels_in_uint8(model) == ()
    made = operators(model)
    assert not {"Tanh", "Round", "Clip", "Cast", "Mul"} & set(made)
    moves = [made.index(name) for name in ("DepthToSpace", "Transpose") if name in made]
    assert made.index("QuantizeLinear") < min(moves, default=len(made))
    onnx.checker.check_model(onnx_ir.serde.serialize_model(model), full_check=True)
    check_same_pixels(run(model, some_inputs()), wanted)


def test_what_reads_the_layer_beside_the_pixels_reads_the_same_as_before() -> None:
    model = model_of_pixels([UP, TANH, *ending("squashed")])
    up = next(node for node in model.graph if node.name == "up").outputs[0]
    model.graph.outputs.append(up)
    assert pixels_in_uint8(model) == ()
    proto = onnx_ir.serde.serialize_model(model)
    weight = next(array for array in proto.graph.initializer if array.name == "w")
    np.testing.assert_array_equal(numpy_helper.to_array(weight), weights(np.random.default_rng(0), 4, 3, 4, 4) / 2)


@pytest.mark.parametrize(
    ("half", "highest", "reason"), [(127.0, 255, "has no constant 127.5"), (127.5, 254, "does not clip to 0..255")]
)
def test_another_range_is_left_with_the_reason(half: float, highest: float, reason: str) -> None:
    model = model_of_pixels([UP, TANH, *ending("squashed")], half=half, highest=highest)
    before = operators(model)
    (line,) = pixels_in_uint8(model)
    assert line.startswith("output 'y' is made as before: ")
    assert reason in line
    assert operators(model) == before


def test_every_convolution_gets_a_bias_of_its_own() -> None:
    model = model_of_pixels([UP, TANH, *ending("squashed")], channels=6)
    wanted = run(model, some_inputs())
    to_phase(model)
    separate_shared_biases(model)
    biases = [node.inputs[2] for node in model.graph if node.op_type == "Conv"]
    assert len(biases) == len(set(biases)) == 4
    check_same_pixels(run(model, some_inputs()), wanted)
