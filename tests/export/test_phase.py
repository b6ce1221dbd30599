"""A transposed convolution in phases is exact in float64 for every shape, and one that must stay is named with why."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import onnx_ir
import pytest
import torch
from ganport_export.passes.fold_batch_norm import fold_batch_norm
from ganport_export.passes.to_phase import to_phase
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from tests.export.graphs import (
    DOUBLE,
    check,
    conv_transpose,
    model_of,
    node,
    norm,
    operators,
    run,
    run_by_reference,
    statistics,
    transposed,
    weights,
)

Nodes = list[onnx.NodeProto]


@settings(max_examples=60, deadline=None)
@given(
    kernel=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    pads=st.lists(st.integers(0, 6), min_size=4, max_size=4),
    padding=st.lists(st.integers(0, 1), min_size=2, max_size=2),
    groups=st.integers(1, 3),
    channels=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    bias=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_stride_2_convolution_is_exact_in_float64(
    kernel: tuple[int, int], size: tuple[int, int], pads: list[int], padding: list[int], groups: int,
    channels: tuple[int, int], bias: bool, seed: int,
) -> None:  # fmt: skip
    random = np.random.default_rng(seed)
    constants = {"w": random.normal(size=(groups * channels[0], channels[1], *kernel))}
    if bias:
        constants["b"] = random.normal(size=groups * channels[1])
    x = random.normal(size=(2, groups * channels[0], *size))
    for i in (0, 1):  # ONNX allows no empty output, and no padding past what the kernel makes of the inputs
        assume(2 * (size[i] - 1) + kernel[i] + padding[i] - pads[i] - pads[i + 2] >= 1)
        assume(pads[i] < 2 * (size[i] - 1) + kernel[i])
    wanted = transposed(x, constants["w"], constants.get("b"), groups, pads, padding)
    layer = conv_transpose(["x", *constants], pads=pads, output_padding=padding, group=groups)
    model = model_of([layer], constants, (x.shape[1], "height", "width"), {"y": DOUBLE}, DOUBLE)
    assert to_phase(model) == ()
    assert "ConvTranspose" not in operators(model)
    check(model)
    made = run_by_reference(model, x)
    assert made.shape == wanted.shape
    np.testing.assert_allclose(made, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("output_padding", [0, 1])
@pytest.mark.parametrize("kernel", [2, 3, 4, 5])
def test_the_reference_of_these_tests_is_pytorch_s_own_padding(kernel: int, output_padding: int) -> None:
    random = np.random.default_rng(1)
    x, w, b = random.normal(size=(2, 4, 3, 5)), random.normal(size=(4, 3, kernel, kernel)), random.normal(size=6)
    tensors = (torch.from_numpy(x), torch.from_numpy(w), torch.from_numpy(b))
    wanted = torch.conv_transpose2d(*tensors, 2, 1, output_padding, 2)
    np.testing.assert_allclose(transposed(x, w, b, 2, [1] * 4, [output_padding] * 2), wanted.numpy(), atol=1e-12)


@pytest.mark.parametrize("padding", [[0, 0], [1, 1]])
@pytest.mark.parametrize("kernel", [2, 3, 4, 5])
@pytest.mark.parametrize(
    "attributes",
    [
        {"auto_pad": "SAME_UPPER"},
        {"auto_pad": "SAME_LOWER"},
        {"auto_pad": "VALID"},
        {"auto_pad": "NOTSET", "pads": [0, 1, 1, 0]},
        {"output_shape": [6, 7]},
        {"output_shape": [5, 8], "auto_pad": "SAME_UPPER"},
    ],
    ids=str,
)
def test_every_way_to_write_padding_is_the_engine_s(
    attributes: Mapping[str, Any], kernel: int, padding: list[int]
) -> None:
    random = np.random.default_rng(2)
    layer = conv_transpose(output_padding=padding, **attributes)
    model = model_of([layer], {"w": weights(random, 2, 3, kernel, kernel)}, (2, 4, 5))
    x = weights(random, 2, 2, 4, 5)
    before = run(model, x)
    assert to_phase(model) == ()
    assert "ConvTranspose" not in operators(model)
    np.testing.assert_allclose(run(model, x), before, atol=1e-5)


def test_the_usual_layer_becomes_four_small_convolutions() -> None:
    random = np.random.default_rng(3)
    model = model_of([conv_transpose(pads=[1] * 4)], {"w": weights(random, 2, 3, 4, 4)}, (2, 4, 4))
    assert to_phase(model) == ()
    assert operators(model) == ["Conv"] * 4 + ["Concat", "DepthToSpace"]
    shapes = {name: tuple(value.shape or ()) for name, value in model.graph.initializers.items()}
    assert shapes == {f"layer.phase_{i}_{j}.weight": (3, 2, 2, 2) for i in (0, 1) for j in (0, 1)}
    (y,) = model.graph.outputs
    assert (y.name, y.dtype, list(y.shape or ())[1:]) == ("y", onnx_ir.DataType.FLOAT, [3, 8, 8])


def test_a_kernel_of_one_tap_convolves_once_and_keeps_its_bias_everywhere() -> None:
    random = np.random.default_rng(4)
    constants = {"w": weights(random, 2, 3, 1, 1), "b": weights(random, 3)}
    model = model_of([conv_transpose("xwb", output_padding=[1, 1])], constants, (2, 3, 3))
    assert to_phase(model) == ()
    assert operators(model).count("Conv") == 1
    for batch in (1, 3):
        y = run(model, weights(random, batch, 2, 3, 3))
        assert y.shape == (batch, 3, 6, 6)
        for row, column in ((0, 1), (1, 0), (1, 1)):
            spread = np.broadcast_to(constants["b"][:, np.newaxis, np.newaxis], (batch, 3, 3, 3))
            np.testing.assert_array_equal(y[:, :, row::2, column::2], spread)


def test_names_that_are_taken_or_missing_do_no_harm() -> None:
    random = np.random.default_rng(5)
    constants = {"w": weights(random, 2, 2, 4, 4), "layer.phase_0_0": np.float32(3), "layer.phase_1_0.weight": 1.0}
    nodes = [
        node("ConvTranspose", ["x", "w"], ["h"], strides=[2, 2]),
        node("ConvTranspose", ["h", "w"], ["k"], "layer", strides=[2, 2]),
        node("Add", ["k", "layer.phase_0_0"], ["y"], "layer.phase_0_1"),
    ]
    model = model_of(nodes, {name: np.asarray(array, np.float32) for name, array in constants.items()}, (2, 2, 2))
    x = weights(random, 2, 2, 2, 2)
    before = run(model, x)
    assert to_phase(model) == ()
    np.testing.assert_allclose(run(model, x), before, rtol=1e-4, atol=1e-3)
    assert model.graph.node(0).name == "h.phase_0_0"


def test_batch_norm_folds_first_and_the_phases_carry_it() -> None:
    random = np.random.default_rng(6)
    constants = {"w": weights(random, 2, 3, 3, 3), **statistics(3, random)}
    model = model_of([conv_transpose(output="h", pads=[1] * 4), norm("h", "y")], constants, (2, 3, 3))
    x = weights(random, 2, 2, 3, 3)
    before = run(model, x)
    assert fold_batch_norm(model) == to_phase(model) == ()
    assert set(operators(model)) == {"Conv", "Concat", "DepthToSpace", "Slice"}
    np.testing.assert_allclose(run(model, x), before, atol=1e-4)


@pytest.mark.parametrize("opset", [11, 13, 17, 21, 24])
@pytest.mark.parametrize("domain", ["", "ai.onnx"])
def test_files_of_any_opset_are_treated(opset: int, domain: str) -> None:
    random = np.random.default_rng(7)
    made = model_of(
        [conv_transpose(pads=[2, 1, 1, 2], output_padding=[1, 0])], {"w": weights(random, 2, 3, 4, 3)}, (2, 4, 4)
    )
    proto = onnx_ir.serde.serialize_model(made)
    proto.opset_import[0].CopyFrom(helper.make_opsetid(domain, opset))
    x = weights(random, 2, 2, 4, 4)
    model = onnx_ir.serde.deserialize_model(proto)
    before = run(model, x)
    assert to_phase(model) == ()
    np.testing.assert_allclose(run(model, x), before, atol=1e-5)
    check(model)


def branch() -> onnx.GraphProto:
    layer = node("ConvTranspose", ["x", "w"], ["inner"], "nested", strides=[2, 2])
    return helper.make_graph([layer], "branch", [], [helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)])


LEFT: dict[str, tuple[Callable[[], Nodes], tuple[int, ...], tuple[int, ...], str]] = {
    "no stride": (
        lambda: [node("ConvTranspose", ["x", "w"], ["y"], "layer")], (2, 3, 3, 3), (2, 4, 4), "its stride is [1, 1]",
    ),
    "one way": (lambda: [conv_transpose(strides=[2, 1])], (2, 3, 3, 3), (2, 4, 4), "its stride is [2, 1]"),
    "dilated": (lambda: [conv_transpose(dilations=[2, 2])], (2, 3, 3, 3), (2, 4, 4), "dilated by [2, 2]"),
    "1-D": (lambda: [conv_transpose(strides=[2])], (2, 3, 3), (2, 4), "it is 1-D"),
    "3-D": (lambda: [conv_transpose(strides=[2, 2, 2])], (2, 3, 3, 3, 3), (2, 4, 4, 4), "it is 3-D"),
    "computed weights": (
        lambda: [
            node("Tanh", ["w"], ["v"]),
            conv_transpose("xv"),
        ],
        (2, 3, 3, 3), (2, 4, 4), "its weights are computed",
    ),
    "a subgraph": (
        lambda: [
            node("ReduceMax", ["x"], ["max"], keepdims=0),
            node("Cast", ["max"], ["condition"], to=TensorProto.BOOL),
            node("If", ["condition"], ["y"], "choice", then_branch=branch(), else_branch=branch()),
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
    layer = conv_transpose(output_shape=[8, 8])
    model = model_of([layer], {"w": np.ones((2, 3, 4, 4))}, (2, "height", "width"), {"y": DOUBLE}, DOUBLE)
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
def test_an_output_that_the_kernel_does_not_fill_stays(attributes: Mapping[str, Any]) -> None:
    random = np.random.default_rng(2)
    model = model_of([conv_transpose(**attributes)], {"w": weights(random, 2, 3, 1, 1)}, (2, 4, 5))
    (line,) = to_phase(model)
    assert "it wants a larger output than its kernel makes" in line
    assert operators(model) == ["ConvTranspose"]
