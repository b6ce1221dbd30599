"""The form `fused` and its sub-pixel convolution: exact in float64; wide and odd ones are left."""

import numpy as np
import onnx
import onnx_ir
import pytest
from ganport_export.passes.to_fused import activation_before_reshape, to_fused, to_subpixel
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from tests.export.deconv_graphs import evaluate, model_of_doubles, transposed
from tests.export.graphs import model_of, operators, run, weights
from tests.export.test_pixels_in_uint8 import check_same_pixels, ending


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
    node = helper.make_node(
        "ConvTranspose", ["x", *constants], ["y"], "layer", strides=[2, 2], pads=pads, output_padding=padding
    )
    model = model_of_doubles(node, dict(constants), x.shape[1])
    to_subpixel(model)
    outputs = [kernel[i] - 2 + padding[i] - pads[i] - pads[i + 2] for i in (0, 1)]
    if any(excess % 2 for excess in outputs):
        assert operators(model) == ["ConvTranspose"]
    wanted = transposed(x, constants["w"], constants.get("b"), 1, pads, padding)
    np.testing.assert_allclose(evaluate(model, x), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("kernel", "pads", "padding"), [(4, 1, 0), (2, 0, 0), (6, 2, 0), (5, 2, 1), (3, 1, 1)])
def test_usual_last_layers_become_one_convolution(kernel: int, pads: int, padding: int) -> None:
    random = np.random.default_rng(0)
    node = helper.make_node(
        "ConvTranspose", ["x", "w"], ["y"], "layer", strides=[2, 2], pads=[pads] * 4, output_padding=[padding] * 2
    )
    model = model_of([node], {"w": weights(random, 8, 3, kernel, kernel)}, (8, 4, 4))
    to_subpixel(model)
    assert operators(model) == ["Conv", "DepthToSpace"]


def test_a_wide_layer_is_left_for_phases() -> None:
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], "layer", strides=[2, 2], pads=[1] * 4)
    model = model_of([node], {"w": weights(np.random.default_rng(0), 8, 5, 4, 4)}, (8, 4, 4))
    to_subpixel(model)
    assert operators(model) == ["ConvTranspose"]
    to_subpixel(model, widest=20)
    assert operators(model) == ["Conv", "DepthToSpace"]


def test_a_layer_in_groups_or_with_a_computed_bias_is_left_for_phases() -> None:
    random = np.random.default_rng(0)
    grouped = helper.make_node("ConvTranspose", ["x", "w"], ["y"], "layer", strides=[2, 2], pads=[1] * 4, group=2)
    model = model_of([grouped], {"w": weights(random, 8, 2, 4, 4)}, (8, 4, 4))
    to_subpixel(model)
    assert operators(model) == ["ConvTranspose"]
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["b"], "mean", keepdims=0, noop_with_empty_axes=0),
        helper.make_node("Expand", ["b", "size"], ["biases"], "expand"),
        helper.make_node("ConvTranspose", ["x", "w", "biases"], ["y"], "layer", strides=[2, 2], pads=[1] * 4),
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
        helper.make_node("Gemm", ["x", "dense", "zeros"], ["flat"], "gemm"),
        helper.make_node("Reshape", ["flat", "shape"], ["map"], "reshape"),
        helper.make_node("Relu", ["map"], ["map.relu"], "relu_0"),
        helper.make_node("ConvTranspose", ["map.relu", "wide", "wide.b"], ["up"], "up_0", strides=[2, 2], pads=[1] * 4),
        helper.make_node("LeakyRelu", ["up"], ["up.relu"], "relu_1", alpha=0.2),
        helper.make_node(
            "ConvTranspose", ["up.relu", "narrow", "narrow.b"], ["up2"], "up_1", strides=[2, 2], pads=[1] * 4
        ),
        helper.make_node("Tanh", ["up2"], ["squashed"], "tanh"),
        *ending("squashed"),
    ]
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 5])],
        [helper.make_tensor_value_info("y", TensorProto.UINT8, ["batch", 16, 16, 3])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    return onnx_ir.serde.deserialize_model(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    )


def test_a_generator_keeps_its_pixels() -> None:
    model, latents = generator(), weights(np.random.default_rng(1), 9, 5)
    wanted = run(model, latents)
    assert to_fused(model) == ()
    onnx.checker.check_model(onnx_ir.serde.serialize_model(model), full_check=True)
    check_same_pixels(run(model, latents), wanted)


def test_every_activation_comes_right_after_its_layer() -> None:
    model = generator()
    to_fused(model)
    activations = [node for node in model.graph if node.op_type in ("Relu", "LeakyRelu", "Sigmoid")]
    made_by = [node.op_type for node in model.graph for reader in node.outputs[0].consumers() if reader in activations]
    assert sorted(made_by) == ["Conv"] * 5 + ["Gemm"]
    assert operators(model)[-3:] == ["QuantizeLinear", "DepthToSpace", "Transpose"]


def test_an_activation_swaps_with_a_reshape_even_at_the_output() -> None:
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["map"], "reshape"),
        helper.make_node("Relu", ["map"], ["y"], "relu"),
    ]
    model, x = model_of(nodes, {"shape": np.array([-1, 2, 3])}, (6,)), weights(np.random.default_rng(0), 4, 6)
    activation_before_reshape(model)
    assert operators(model) == ["Relu", "Reshape"]
    np.testing.assert_array_equal(run(model, x), np.maximum(x, 0).reshape(4, 2, 3))


def test_an_activation_stays_where_something_else_reads_the_reshape() -> None:
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["map"], "reshape"),
        helper.make_node("Relu", ["map"], ["relu"], "relu"),
        helper.make_node("Sub", ["relu", "map"], ["y"], "sub"),
    ]
    model = model_of(nodes, {"shape": np.array([-1, 2, 3])}, (6,))
    activation_before_reshape(model)
    assert operators(model) == ["Reshape", "Relu", "Sub"]
