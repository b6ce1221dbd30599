"""A float16 graph keeps its signature, rounds each constant once, and computes what it did."""

from typing import Any

import numpy as np
import onnx_ir
from ganport_export.passes.to_half import to_half
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper
from onnx_ir import DataType

from tests.export.graphs import FLOAT, UINT8, Constants, draw, halve, model_of, node, run, run_all, types

PIXELS = [
    node("Add", ["t", "one"], ["a"], "add"),
    node("Mul", ["a", "scale"], ["s"], "mul"),
    node("Round", ["s"], ["r"], "round"),
    node("Clip", ["r", "low", "high"], ["c"], "clip"),
    node("Transpose", ["c"], ["n"], "transpose", perm=[0, 2, 3, 1]),
    node("Cast", ["n"], ["image"], "cast", to=UINT8),
]


def generator() -> onnx_ir.Model:
    constants: Constants = {
        "w": draw(6, 32) / 3, "b": draw(32), "shape": np.array([-1, 8, 2, 2]), "v": draw(8, 3, 4, 4) / 8,
        "one": np.float32(1), "scale": np.float32(127.5), "low": np.float32(0), "high": np.float32(255),
    }  # fmt: skip
    nodes = [
        node("Gemm", ["x", "w", "b"], ["g"], "gemm"),
        node("Reshape", ["g", "shape"], ["p"], "reshape"),
        node("LeakyRelu", ["p"], ["l"], "leaky", alpha=0.2),
        node("ConvTranspose", ["l", "v"], ["d"], "deconv", strides=[2, 2], pads=[1] * 4),
        node("Tanh", ["d"], ["t"], "tanh"),
        *PIXELS,
    ]
    return model_of(nodes, constants, [6], {"image": UINT8})


def test_a_generator_computes_in_float16_and_its_pixels_in_float32() -> None:
    model, original = generator(), generator()
    lines = halve(model, draw(4, 6), draw(4, 6, seed=1))
    made = types(model)
    assert {made[name] for name in ("gemm", "reshape", "leaky", "deconv", "tanh")} == {DataType.FLOAT16}
    pixels = ("add", "mul", "round", "clip", "transpose")
    assert {made[name] for name in pixels} == {DataType.FLOAT}
    assert [line.split("'")[1] for line in lines] == [*pixels, "cast"]
    assert all("stays in float32: it scales, rounds or moves pixels" in line for line in lines)
    assert [each.op_type for each in model.graph].count("Cast") == 3
    last = model.graph.node(-1)
    assert (last.name, last.op_type) == ("cast", "Cast")
    (x,), (image,) = model.graph.inputs, model.graph.outputs
    assert (x.name, x.dtype, image.name, image.dtype) == ("x", DataType.FLOAT, "image", DataType.UINT8)
    z = draw(16, 6, seed=2)
    wanted, images = run_all(original, z)["image"].astype(int), run_all(model, z)["image"].astype(int)
    assert images.shape == (16, 4, 4, 3)
    assert 0 < np.abs(images - wanted).max() <= 1  # it rounds, and rounds little


def test_constants_are_rounded_once_and_the_float32_ones_are_gone() -> None:
    model = generator()
    halve(model, draw(4, 6))
    gemm = model.graph.node("gemm")
    weights: tuple[NDArray[np.float32], ...] = (draw(6, 32) / np.float32(3), draw(32))
    for value, wanted in zip(gemm.inputs[1:], weights, strict=True):
        assert value is not None
        assert value.const_value is not None
        np.testing.assert_array_equal(value.const_value.numpy(), wanted.astype(np.float16))
        assert value.const_value.dtype == DataType.FLOAT16
    sizes = {name: value.dtype for name, value in model.graph.initializers.items() if value.shape != onnx_ir.Shape([])}
    assert set(sizes.values()) == {DataType.FLOAT16, DataType.INT64}


def test_a_discriminator_reads_pixels_in_float32_and_every_output_keeps_its_name_and_type() -> None:
    constants: Constants = {
        "half_range": np.float32(127.5), "one": np.float32(1), "w": draw(4, 3, 3, 3), "shape": np.array([-1, 36]),
        "v": draw(36, 1) / 6, "last": np.array([1]),
    }  # fmt: skip
    nodes = [
        node("Cast", ["x"], ["f"], "cast", to=FLOAT),
        node("Div", ["f", "half_range"], ["d"], "div"),
        node("Sub", ["d", "one"], ["s"], "sub"),
        node("Transpose", ["s"], ["n"], "transpose", perm=[0, 3, 1, 2]),
        node("Conv", ["n", "w"], ["c"], "conv"),
        node("Reshape", ["c", "shape"], ["features"], "flatten"),
        node("MatMul", ["features", "v"], ["m"], "dense"),
        node("Squeeze", ["m", "last"], ["logit"], "squeeze"),
    ]
    outputs = {"logit": FLOAT, "features": FLOAT}
    model, original = (model_of(nodes, constants, [5, 5, 3], outputs, UINT8) for _ in range(2))
    pixels = np.random.default_rng(5).integers(0, 256, (4, 5, 5, 3), np.uint8)
    assert [line.split("'")[1] for line in halve(model, pixels)] == ["cast", "div", "sub", "transpose"]
    assert [(value.name, value.dtype) for value in model.graph.outputs] == [
        ("logit", DataType.FLOAT), ("features", DataType.FLOAT),
    ]  # fmt: skip
    assert types(model)["conv"] == types(model)["dense"] == DataType.FLOAT16
    wanted, made = run_all(original, pixels), run_all(model, pixels)
    for name in outputs:
        assert made[name].dtype == np.float32
        np.testing.assert_allclose(made[name], wanted[name], rtol=1e-2, atol=2e-2)


STEPS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "Conv": (["w"], {}), "Relu": ([], {}), "Tanh": ([], {}), "Add": (["c"], {}), "Mul": (["c"], {}),
    "Clip": (["low", "high"], {}), "Transpose": ([], {"perm": [0, 1, 3, 2]}), "ReduceMean": (["axes"], {"keepdims": 1}),
    "AveragePool": ([], {"kernel_shape": [1, 1]}), "Identity": ([], {}), "Sigmoid": ([], {}),
    "Softmax": ([], {"axis": 1}),
}  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=7),
    shown=st.sets(st.integers(0, 6)),
    joined=st.booleans(),
)
def test_any_chain_stays_well_typed_and_near_its_original(steps: list[str], shown: set[int], joined: bool) -> None:
    constants: Constants = {
        "w": draw(2, 2, 1, 1), "c": draw(2, 1, 1), "low": np.float32(-2), "high": np.float32(2),
        "axes": np.array([2, 3]),
    }  # fmt: skip
    nodes = [
        node(step, ["x" if i == 0 else f"v{i - 1}", *STEPS[step][0]], [f"v{i}"], f"n{i}", **STEPS[step][1])
        for i, step in enumerate(steps)
    ]
    outputs = {f"v{i}": FLOAT for i in range(len(steps)) if i in shown or i == len(steps) - 1}
    if joined:
        nodes.append(node("Add", ["v0", f"v{len(steps) - 1}"], ["sum"], "sum"))
        outputs["sum"] = FLOAT
    model, original = (model_of(nodes, constants, [2, 3, 3], outputs) for _ in range(2))
    x = draw(2, 2, 3, 3)
    halve(model, x)
    assert [value.name for value in model.graph.outputs] == list(outputs)
    wanted, made = run_all(original, x), run_all(model, x)
    for name in outputs:
        assert made[name].dtype == np.float32
        np.testing.assert_allclose(made[name], wanted[name], rtol=2e-2, atol=2e-2 * max(1, np.abs(wanted[name]).max()))


def test_values_too_large_for_float16_are_found_by_calibration() -> None:
    constants: Constants = {
        "w": draw(4, 8),
        "up": np.float32(300),
        "again": np.float32(99),
        "down": np.float32(3e-4),
        "v": draw(8, 5),
    }
    nodes = [
        node("Gemm", ["x", "w"], ["g"], "gemm"),
        node("Mul", ["g", "up"], ["s"], "safe"),
        node("Mul", ["s", "again"], ["u"], "large"),
        node("Relu", ["u"], ["r"], "still_large"),
        node("Mul", ["r", "down"], ["d"], "small"),
        node("MatMul", ["d", "v"], ["y"], "last"),
    ]
    model, original = (model_of(nodes, constants, [4]) for _ in range(2))
    lines = halve(model, draw(8, 4))
    assert [line.split("'")[1] for line in lines] == ["large", "still_large", "small"]
    assert "what it makes reaches" in lines[0]
    assert "and float16 ends at 65504" in lines[0]
    made = types(model)
    assert (made["gemm"], made["large"], made["still_large"], made["last"]) == (
        DataType.FLOAT16, DataType.FLOAT, DataType.FLOAT, DataType.FLOAT16,
    )  # fmt: skip
    z = draw(8, 4, seed=3)
    np.testing.assert_allclose(run(model, z), run(original, z), rtol=1e-2, atol=0.2)


def test_values_that_would_vanish_in_float16_are_found_by_calibration() -> None:
    constants: Constants = {"a": np.float32(1e-3), "b": np.float32(1e-4), "c": np.float32(1e4), "d": np.float32(1e3)}
    nodes = [
        node("Mul", ["x", "a"], ["s"], "safe"),
        node("Mul", ["s", "b"], ["t"], "tiny"),
        node("Mul", ["t", "c"], ["u"], "back"),
        node("Mul", ["u", "d"], ["y"], "last"),
    ]
    model, original = (model_of(nodes, constants, [4]) for _ in range(2))
    lines = halve(model, draw(8, 4))
    assert [line.split("'")[1] for line in lines] == ["tiny", "back"]
    assert "what it makes is" in lines[0]
    assert "vanishes in float16" in lines[0]
    z = draw(8, 4, seed=3)
    np.testing.assert_allclose(run(model, z), run(original, z), rtol=1e-2, atol=1e-2)


def test_constants_that_float16_cannot_hold_keep_their_node() -> None:
    constants: Constants = {"w": draw(4, 4) * 1e6, "tiny": np.float32(1e-8), "v": draw(4, 4)}
    nodes = [
        node("Gemm", ["x", "w"], ["g"], "large"),
        node("Tanh", ["g"], ["t"], "tanh"),
        node("Mul", ["t", "t"], ["q"], "square"),
        node("ReduceMean", ["q"], ["m"], "mean", keepdims=1),
        node("Add", ["m", "tiny"], ["e"], "epsilon"),
        node("Sqrt", ["e"], ["root"], "root"),
        node("Div", ["t", "root"], ["n"], "divide"),
        node("MatMul", ["n", "v"], ["y"], "last"),
    ]
    model, original = (model_of(nodes, constants, [4]) for _ in range(2))
    lines = {line.split("'")[1]: line for line in halve(model, draw(8, 4) * 1e-2)}
    assert "its constant 'w' reaches" in lines["large"]
    assert "it sums over many values" in lines["mean"]
    assert "its constant 'tiny' of 1e-08 vanishes in float16" in lines["epsilon"]
    assert types(model)["last"] == types(model)["divide"] == DataType.FLOAT16
    x = draw(8, 4, seed=4) * 1e-2
    np.testing.assert_allclose(run(model, x), run(original, x), rtol=1e-2, atol=1e-2)


def test_operators_and_inputs_without_float16_stay_as_they_are() -> None:
    constants: Constants = {"w": draw(3, 3, 1, 1), "scales": np.array([1, 1, 2, 2], np.float32), "v": draw(3, 3, 1, 1)}
    nodes = [
        node("Conv", ["x", "w"], ["c"], "conv"),
        node("QuickGelu", ["c"], ["q"], "gelu", domain="com.microsoft", alpha=1.7),
        node("Resize", ["q", "", "scales"], ["r"], "resize", mode="nearest"),
        node("Shape", ["r"], ["size"], "size"),
        node("Conv", ["r", "v"], ["y"], "last"),
    ]
    model, original = (model_of(nodes, constants, [3, 4, 4], {"y": FLOAT, "size": TensorProto.INT64}) for _ in range(2))
    x = draw(2, 3, 4, 4)
    kept = [str(line) for line in to_half(model, [{"x": x}], threads=1)]
    assert [line.split(":")[0] for line in kept] == ["QuickGelu 'gelu' stays in float32"]
    assert types(model)["resize"] == types(model)["last"] == DataType.FLOAT16
    resize = model.graph.node("resize")
    assert [None if value is None else value.dtype for value in resize.inputs] == [
        DataType.FLOAT16, None, DataType.FLOAT,
    ]  # fmt: skip
    made, wanted = run_all(model, x), run_all(original, x)
    np.testing.assert_array_equal(made["size"], wanted["size"])
    np.testing.assert_allclose(made["y"], wanted["y"], rtol=1e-2, atol=1e-2)


def test_what_a_subgraph_reads_stays_in_float32() -> None:
    branches = {
        f"{name}_branch": helper.make_graph(
            [node("Mul", ["c", "two"], [name])], name, [], [helper.make_tensor_value_info(name, FLOAT, None)]
        )
        for name in ("then", "else")
    }
    nodes = [
        node("Conv", ["x", "w"], ["c"], "conv"),
        node("ReduceMax", ["x"], ["top"], "top", keepdims=0),
        node("Greater", ["top", "two"], ["condition"], "greater"),
        node("If", ["condition"], ["i"], "choice", **branches),
        node("Conv", ["i", "w"], ["y"], "last"),
    ]
    model, original = (model_of(nodes, {"w": draw(3, 3, 1, 1), "two": np.float32(2)}, [3, 4, 4]) for _ in (0, 1))
    x = draw(2, 3, 4, 4)
    lines = halve(model, x)
    assert "Conv 'conv' stays in float32: a subgraph reads it" in lines
    assert "If 'choice' stays in float32: it holds a subgraph" in lines
    assert types(model)["last"] == DataType.FLOAT16
    np.testing.assert_allclose(run(model, x), run(original, x), rtol=1e-2, atol=1e-2)
