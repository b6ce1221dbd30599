"""The form `fused`: what its passes change computes what it did, and what they must leave stays, with the reason."""

from typing import Any

import numpy as np
import onnx
import onnx_ir
import pytest
from ganport_export.passes.pixels_in_uint8 import pixels_in_uint8
from ganport_export.passes.to_fused import (
    activation_before_interleave,
    activation_before_reshape,
    separate_shared_biases,
    to_fused,
    to_subpixel,
)
from ganport_export.passes.to_phase import to_phase
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto

from tests.export.graphs import (
    DOUBLE,
    UINT8,
    Array,
    check,
    conv_transpose,
    draw,
    model_of,
    node,
    operators,
    run,
    run_by_reference,
    transposed,
    weights,
)

UP = node("ConvTranspose", ["x", "w", "b"], ["up"], "up", strides=[2, 2], pads=[1] * 4)
TANH = node("Tanh", ["up"], ["squashed"], "tanh")


def ending(values: str, *, transposed: bool = True) -> list[onnx.NodeProto]:
    """The steps from values in [-1, 1] to pixels, as every exported generator has them."""
    nodes = [
        node("Add", [values, "one"], ["shifted"], "add"),
        node("Mul", ["half", "shifted"], ["scaled"], "mul"),
        node("Round", ["scaled"], ["rounded"], "round"),
        node("Clip", ["rounded", "low", "high"], ["clipped"], "clip"),
    ]
    if transposed:
        nodes.append(node("Transpose", ["clipped"], ["moved"], "transpose", perm=[0, 2, 3, 1]))
    return [*nodes, node("Cast", [nodes[-1].output[0]], ["y"], "cast", to=TensorProto.UINT8)]


def model_of_pixels(
    nodes: list[onnx.NodeProto], channels: int = 3, *, half: float = 127.5, highest: float = 255
) -> onnx_ir.Model:
    random = np.random.default_rng(0)
    numbers = {"one": 1.0, "half": half, "low": 0.0, "high": highest}
    constants = {name: np.float32(number) for name, number in numbers.items()}
    arrays = {"w": weights(random, 4, channels, 4, 4) / 2, "b": weights(random, channels)}
    return model_of(nodes, constants | arrays, (4, 4, 4), {"y": UINT8})


def some_inputs() -> Array:
    return draw(16, 4, 4, 4, seed=1)


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
    check(model)
    check_same_pixels(run(model, some_inputs()), wanted)


def test_what_reads_the_layer_beside_the_pixels_reads_the_same_as_before() -> None:
    model = model_of_pixels([UP, TANH, *ending("squashed")])
    up = next(node for node in model.graph if node.name == "up").outputs[0]
    model.graph.outputs.append(up)
    assert pixels_in_uint8(model) == ()
    weight = model.graph.initializers["w"].const_value
    assert weight is not None
    np.testing.assert_array_equal(weight.numpy(), draw(4, 3, 4, 4) / 2)


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


LIMITS: dict[str, NDArray[np.generic]] = {"low": np.array(-0.5, np.float32), "high": np.array(0.25, np.float32)}


def phases_then(*nodes: onnx.NodeProto, kernel: int = 4) -> onnx_ir.Model:
    """A transposed convolution from `x` to `h` in phases, and what follows it."""
    random = np.random.default_rng(0)
    layer = node("ConvTranspose", ["x", "w", "b"], ["h"], "layer", strides=[2, 2], pads=[1] * 4)
    constants = {"w": weights(random, 2, 3, kernel, kernel), "b": weights(random, 3), **LIMITS}
    model = model_of([layer, *nodes], constants, (2, 3, 3))
    assert to_phase(model) == ()
    return model


def activation(operator: str, x: str = "h", y: str = "y", **attributes: Any) -> onnx.NodeProto:
    limits = ["low", "high"] if operator == "Clip" else []
    return node(operator, [x, *limits], [y], f"the_{operator.lower()}", **attributes)


@pytest.mark.parametrize("kernel", [1, 3, 4])
@pytest.mark.parametrize("operator", ["Relu", "LeakyRelu", "Tanh", "Sigmoid", "Clip"])
def test_activations_move_and_change_nothing(operator: str, kernel: int) -> None:
    attributes: dict[str, Any] = {"alpha": 0.3} if operator == "LeakyRelu" else {}
    model = phases_then(activation(operator, **attributes), kernel=kernel)
    x = weights(np.random.default_rng(1), 2, 2, 3, 3)
    before = run(model, x)
    assert activation_before_interleave(model) == ()
    check(model)
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
    elsewhere = phases_then(activation("Relu", y="r"), node("Add", ["h", "r"], ["y"]))
    (line,) = activation_before_interleave(elsewhere)
    assert line == "Relu 'the_relu' stays after its interleaving: what it reads goes elsewhere too"
    computed = phases_then(node("ReduceMax", ["x"], ["top"], keepdims=0), node("Clip", ["h", "", "top"], ["y"], "cut"))
    (line,) = activation_before_interleave(computed)
    assert line == "Clip 'cut' stays after its interleaving: its limits are computed"
    shown = phases_then(activation("Relu"))
    shown.graph.outputs.append(next(node for node in shown.graph if node.op_type == "DepthToSpace").outputs[0])
    assert "goes elsewhere too" in activation_before_interleave(shown)[0]


def test_other_operators_stay_where_they_are() -> None:
    model = phases_then(node("Softmax", ["h"], ["y"], axis=1))
    assert activation_before_interleave(model) == ()
    assert operators(model)[-2:] == ["DepthToSpace", "Softmax"]


def test_a_depth_to_space_without_a_stack_takes_it_on_its_input() -> None:
    conv = node("Conv", ["x", "w"], ["c"], "conv")
    shuffle = node("DepthToSpace", ["c"], ["h"], "shuffle", blocksize=2, mode="CRD")
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


@settings(max_examples=100, deadline=None)
@given(
    kernel=st.tuples(st.integers(2, 7), st.integers(2, 7)),
    size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    pads=st.lists(st.integers(0, 3), min_size=4, max_size=4),
    padding=st.lists(st.integers(0, 1), min_size=2, max_size=2),
    channels=st.tuples(st.integers(1, 5), st.integers(1, 4)),
    bias=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_narrow_layer_is_exact_in_float64(
    kernel: tuple[int, int], size: tuple[int, int], pads: list[int], padding: list[int],
    channels: tuple[int, int], bias: bool, seed: int,
) -> None:  # fmt: skip
    random = np.random.default_rng(seed)
    constants = {"w": random.normal(size=(*channels, *kernel))}
    if bias:
        constants["b"] = random.normal(size=channels[1])
    x = random.normal(size=(2, channels[0], *size))
    for i in (0, 1):
        assume(2 * (size[i] - 1) + kernel[i] + padding[i] - pads[i] - pads[i + 2] >= 1)
        assume(pads[i] < 2 * (size[i] - 1) + kernel[i])
    layer = conv_transpose(["x", *constants], pads=pads, output_padding=padding)
    model = model_of([layer], constants, (x.shape[1], "height", "width"), {"y": DOUBLE}, DOUBLE)
    to_subpixel(model)
    outputs = [kernel[i] - 2 + padding[i] - pads[i] - pads[i + 2] for i in (0, 1)]
    if any(excess % 2 for excess in outputs):
        assert operators(model) == ["ConvTranspose"]
    wanted = transposed(x, constants["w"], constants.get("b"), 1, pads, padding)
    check(model)
    np.testing.assert_allclose(run_by_reference(model, x), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("kernel", "pads", "padding"), [(4, 1, 0), (2, 0, 0), (6, 2, 0), (5, 2, 1), (3, 1, 1)])
def test_usual_last_layers_become_one_convolution(kernel: int, pads: int, padding: int) -> None:
    random = np.random.default_rng(0)
    layer = conv_transpose(pads=[pads] * 4, output_padding=[padding] * 2)
    model = model_of([layer], {"w": weights(random, 8, 3, kernel, kernel)}, (8, 4, 4))
    to_subpixel(model)
    assert operators(model) == ["Conv", "DepthToSpace"]


def test_a_wide_layer_is_left_for_phases() -> None:
    model = model_of([conv_transpose(pads=[1] * 4)], {"w": draw(8, 5, 4, 4)}, (8, 4, 4))
    to_subpixel(model)
    assert operators(model) == ["ConvTranspose"]
    to_subpixel(model, widest=20)
    assert operators(model) == ["Conv", "DepthToSpace"]


def test_a_layer_in_groups_or_with_a_computed_bias_is_left_for_phases() -> None:
    random = np.random.default_rng(0)
    grouped = conv_transpose(pads=[1] * 4, group=2)
    model = model_of([grouped], {"w": weights(random, 8, 2, 4, 4)}, (8, 4, 4))
    to_subpixel(model)
    assert operators(model) == ["ConvTranspose"]
    nodes = [
        node("ReduceMean", ["x"], ["b"], "mean", keepdims=0, noop_with_empty_axes=0),
        node("Expand", ["b", "size"], ["biases"], "expand"),
        conv_transpose(["x", "w", "biases"], pads=[1] * 4),
    ]
    model = model_of(nodes, {"w": weights(random, 8, 3, 4, 4), "size": np.array([3])}, (8, 4, 4))
    to_subpixel(model)
    assert operators(model)[-1] == "ConvTranspose"


def generator() -> onnx_ir.Model:
    """Latents of 5 numbers to pixels [16, 16, 3] over a wide and a narrow transposed convolution."""
    random = np.random.default_rng(0)
    constants = {
        "dense": weights(random, 5, 6 * 16), "shape": np.array([-1, 6, 4, 4]), "zeros": np.zeros(96, np.float32),
        "wide": weights(random, 6, 8, 4, 4) / 3, "wide.b": weights(random, 8),
        "narrow": weights(random, 8, 3, 4, 4) / 8, "narrow.b": weights(random, 3),
        "one": np.float32(1), "half": np.float32(127.5), "low": np.float32(0), "high": np.float32(255),
    }  # fmt: skip
    nodes = [
        node("Gemm", ["x", "dense", "zeros"], ["flat"], "gemm"),
        node("Reshape", ["flat", "shape"], ["map"], "reshape"),
        node("Relu", ["map"], ["map.relu"], "relu_0"),
        node("ConvTranspose", ["map.relu", "wide", "wide.b"], ["up"], "up_0", strides=[2, 2], pads=[1] * 4),
        node("LeakyRelu", ["up"], ["up.relu"], "relu_1", alpha=0.2),
        node("ConvTranspose", ["up.relu", "narrow", "narrow.b"], ["up2"], "up_1", strides=[2, 2], pads=[1] * 4),
        node("Tanh", ["up2"], ["squashed"], "tanh"),
        *ending("squashed"),
    ]
    return model_of(nodes, constants, (5,), {"y": UINT8})


def test_a_generator_keeps_its_pixels() -> None:
    model, latents = generator(), weights(np.random.default_rng(1), 9, 5)
    wanted = run(model, latents)
    assert to_fused(model) == ()
    check(model)
    check_same_pixels(run(model, latents), wanted)


def test_every_activation_comes_right_after_its_layer() -> None:
    model = generator()
    to_fused(model)
    activations = [node for node in model.graph if node.op_type in ("Relu", "LeakyRelu", "Sigmoid")]
    made_by = [node.op_type for node in model.graph for reader in node.outputs[0].consumers() if reader in activations]
    assert sorted(made_by) == ["Conv"] * 5 + ["Gemm"]
    assert operators(model)[-3:] == ["QuantizeLinear", "DepthToSpace", "Transpose"]


def test_an_activation_swaps_with_a_reshape_even_at_the_output() -> None:
    nodes = [node("Reshape", ["x", "shape"], ["map"], "reshape"), node("Relu", ["map"], ["y"], "relu")]
    model, x = model_of(nodes, {"shape": np.array([-1, 2, 3])}, (6,)), weights(np.random.default_rng(0), 4, 6)
    activation_before_reshape(model)
    assert operators(model) == ["Relu", "Reshape"]
    np.testing.assert_array_equal(run(model, x), np.maximum(x, 0).reshape(4, 2, 3))


def test_an_activation_stays_where_something_else_reads_the_reshape() -> None:
    nodes = [
        node("Reshape", ["x", "shape"], ["map"], "reshape"),
        node("Relu", ["map"], ["relu"], "relu"),
        node("Sub", ["relu", "map"], ["y"], "sub"),
    ]
    model = model_of(nodes, {"shape": np.array([-1, 2, 3])}, (6,))
    activation_before_reshape(model)
    assert operators(model) == ["Reshape", "Relu", "Sub"]
