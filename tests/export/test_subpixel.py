"""A narrow transposed convolution as one sub-pixel convolution is exact in float64; wide and odd ones are left."""

import numpy as np
import pytest
from ganport_export.passes.to_subpixel import to_subpixel
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import helper

from tests.export.deconv_graphs import evaluate, model_of_doubles, transposed
from tests.export.graphs import model_of, operators, weights


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
