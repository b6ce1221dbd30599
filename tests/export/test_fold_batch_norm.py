"""Folding changes no output beyond rounding, follows every weight layout, and leaves what it must not touch."""

from collections.abc import Callable, Mapping
from fractions import Fraction

import numpy as np
import onnx
import onnx_ir
import pytest
from ganport_export.passes.fold_batch_norm import fold_batch_norm
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.export.graphs import model_of, node, norm, operators, run, run_by_reference, statistics, weights


def check_folds(
    nodes: list[onnx.NodeProto], constants: Mapping[str, NDArray[np.generic]], x: tuple[int, ...]
) -> onnx_ir.Model:
    """Fold, and see that the norm is gone and the outputs are what they were."""
    model = model_of(nodes, constants, x)
    inputs = np.random.default_rng(1).normal(size=(3, *x)).astype(np.float32)
    before = run(model, inputs)
    assert fold_batch_norm(model) == ()
    assert "BatchNormalization" not in operators(model)
    assert before.std() > 0.1
    np.testing.assert_allclose(run(model, inputs), before, rtol=1e-4, atol=1e-4)
    assert model.graph.outputs[0].name == "y"
    return model


@settings(max_examples=25, deadline=None)
@given(groups=st.integers(1, 3), inputs=st.integers(1, 3), outputs=st.integers(1, 3), bias=st.booleans())
def test_convolutions_of_any_grouping_fold(groups: int, inputs: int, outputs: int, bias: bool) -> None:
    random = np.random.default_rng(0)
    for operator, shape in (
        ("Conv", (groups * outputs, inputs, 3, 2)),
        ("ConvTranspose", (groups * inputs, outputs, 3, 2)),
    ):
        constants = {"w": weights(random, *shape), **statistics(groups * outputs, random)}
        constants |= {"bias": weights(random, groups * outputs)} if bias else {}
        layer = node(operator, ["x", "w", *(["bias"] if bias else [])], ["h"], name="layer", group=groups)
        check_folds([layer, norm("h", "y", epsilon=0.01)], constants, (groups * inputs, 4, 4))


def test_weights_are_computed_in_float64_and_rounded_once() -> None:
    random = np.random.default_rng(2)
    constants = {"w": weights(random, 2, 3, 1, 1), "bias": weights(random, 3), **statistics(3, random)}
    model = check_folds(
        [node("ConvTranspose", ["x", "w", "bias"], ["h"], name="layer"), norm("h", "y")], constants, (2, 2, 2)
    )
    epsilon = float(np.float32(1e-5))
    folded = [value.const_value.numpy() for value in model.graph.node(0).inputs[1:] if value and value.const_value]
    for column in range(3):
        a, b, mean, variance = (Fraction(float(constants[f"norm.{part}"][column])) for part in "abmv")
        factor = a / Fraction(float(np.sqrt(float(variance) + epsilon)))
        for row in range(2):
            assert folded[0][row, column, 0, 0] == np.float32(
                float(Fraction(float(constants["w"][row, column, 0, 0])) * factor)
            )
        assert folded[1][column] == np.float32(float((Fraction(float(constants["bias"][column])) - mean) * factor + b))


@pytest.mark.parametrize("transposed", [0, 1])
@pytest.mark.parametrize("bias", [None, (6,), (1, 6), (1,), ()])
def test_dense_layer_folds_in_every_layout(transposed: int, bias: tuple[int, ...] | None) -> None:
    random = np.random.default_rng(3)
    constants = {"w": weights(random, 6, 4) if transposed else weights(random, 4, 6), **statistics(6, random)}
    if bias is not None:
        constants["bias"] = weights(random, *bias)
    inputs = ["x", "w"] if bias is None else ["x", "w", "bias"]
    gemm = node("Gemm", inputs, ["h"], name="layer", transB=transposed, alpha=0.5, beta=3.0)
    check_folds([gemm, norm("h", "y")], constants, (4,))


def test_matrix_product_and_its_bias_become_one_dense_layer() -> None:
    random = np.random.default_rng(4)
    constants = {"w": weights(random, 4, 6), "bias": weights(random, 6), **statistics(6, random)}
    product = node("MatMul", ["x", "w"], ["p"], name="product")
    for order in (["p", "bias"], ["bias", "p"]):
        add = node("Add", order, ["h"], name="add")
        model = check_folds([product, add, norm("h", "y")], constants, (4,))
        assert operators(model) == ["Gemm"]
    del constants["bias"]
    bare = node("MatMul", ["x", "w"], ["h"], name="product")
    assert operators(check_folds([bare, norm("h", "y")], constants, (4,))) == ["Gemm"]


MOVES: dict[str, tuple[list[onnx.NodeProto], Mapping[str, NDArray[np.generic]], int]] = {
    "project and reshape": (
        [node("Reshape", ["h", "shape"], ["m"], name="move")],
        {"shape": np.array([-1, 6, 2, 2])},
        6,
    ),
    "channels last": (
        [
            node("Reshape", ["h", "shape"], ["r"], name="reshape"),
            node("Transpose", ["r"], ["m"], name="move", perm=[0, 3, 1, 2]),
        ],
        {"shape": np.array([-1, 2, 2, 6])},
        6,
    ),
    "unsqueeze": ([node("Unsqueeze", ["h", "axes"], ["m"], name="move")], {"axes": np.array([2, 3])}, 24),
    "pixel shuffle": (
        [
            node("Reshape", ["h", "shape"], ["r"], name="reshape"),
            node("DepthToSpace", ["r"], ["m"], name="move", blocksize=2, mode="CRD"),
        ],
        {"shape": np.array([-1, 24, 1, 1])},
        6,
    ),
}


@pytest.mark.parametrize("name", MOVES)
def test_folds_through_steps_that_only_move_values(name: str) -> None:
    moves, shapes, channels = MOVES[name]
    random = np.random.default_rng(5)
    constants = {"w": weights(random, 24, 4), **shapes, **statistics(channels, random)}
    gemm = node("Gemm", ["x", "w"], ["h"], name="layer", transB=1)
    check_folds([gemm, *moves, norm("m", "y")], constants, (4,))


def test_pixel_shuffle_after_a_convolution_folds() -> None:
    random = np.random.default_rng(6)
    constants = {"w": weights(random, 12, 2, 3, 3), **statistics(3, random)}
    conv = node("Conv", ["x", "w"], ["h"], name="layer", pads=[1, 1, 1, 1])
    shuffle = node("DepthToSpace", ["h"], ["m"], name="shuffle", blocksize=2, mode="DCR")
    check_folds([conv, shuffle, norm("m", "y")], constants, (2, 4, 4))


def test_two_layers_that_share_weights_fold_apart() -> None:
    random = np.random.default_rng(7)
    constants = {"w": weights(random, 3, 3, 1, 1), **statistics(3, random), **statistics(3, random, "second")}
    nodes = [
        node("Conv", ["x", "w"], ["h"], name="one"),
        norm("h", "n"),
        node("Conv", ["n", "w"], ["k"], name="two"),
        norm("k", "y", "second"),
    ]
    assert operators(check_folds(nodes, constants, (3, 2, 2))) == ["Conv", "Conv"]


def conv(name: str = "layer") -> onnx.NodeProto:
    return node("Conv", ["x", "w"], ["h"], name=name)


Nodes = Callable[[], list[onnx.NodeProto]]
LEFT: dict[str, tuple[Nodes, str]] = {
    "its layer is read twice": (lambda: [conv(), norm("h", "n"), node("Add", ["n", "h"], ["y"])], "goes elsewhere too"),
    "no layer": (lambda: [norm("x", "y")], "no layer comes before it"),
    "another operator": (lambda: [conv(), node("Relu", ["h"], ["r"], name="r"), norm("r", "y")], "it follows Relu 'r'"),
    "computed weights": (
        lambda: [
            node("ReduceMean", ["x"], ["mean"], keepdims=0),
            node("Mul", ["w", "mean"], ["scaled"]),
            node("Conv", ["x", "scaled"], ["h"], name="layer"),
            norm("h", "y"),
        ],
        "it follows Conv 'layer', no layer with constant weights",
    ),
    "columns in several channels": (
        lambda: [conv(), node("Transpose", ["h"], ["m"], perm=[0, 2, 1, 3]), norm("m", "y")],
        "reach several channels",
    ),
    "images mixed": (
        lambda: [conv(), node("Transpose", ["h"], ["m"], perm=[2, 1, 0, 3]), norm("m", "y")],
        "between images",
    ),
    "statistics of the batch": (
        lambda: [
            conv(),
            node("BatchNormalization", ["h", *(f"norm.{p}" for p in "abmv")], ["y", "m1", "v1"], training_mode=1),
        ],
        "takes its statistics from the batch",
    ),
}


@pytest.mark.parametrize("name", LEFT)
def test_batch_norm_that_must_stay_is_left_as_it_is(name: str) -> None:
    make, said = LEFT[name]
    random = np.random.default_rng(8)
    model = model_of(make(), {"w": weights(random, 3, 3, 1, 1), **statistics(3, random)}, (3, 3, 3))
    inputs = weights(random, 3, 3, 3, 3)
    before = run_by_reference(model, inputs)
    (line,) = fold_batch_norm(model)
    assert said in line
    assert operators(model).count("BatchNormalization") == 1
    np.testing.assert_array_equal(run_by_reference(model, inputs), before)
