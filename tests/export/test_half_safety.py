"""What float16 would spoil stays in float32 with casts around it, and is named with why."""

import numpy as np
import pytest
from ganport_export.errors import ExportError
from ganport_export.passes.to_half import to_half
from onnx import TensorProto, helper
from onnx_ir import DataType

from tests.export.half_graphs import FLOAT, Constants, draw, halve, model_of, node, run, types


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
    model, original = (model_of(nodes, constants, [4], {"y": FLOAT}) for _ in range(2))
    lines = halve(model, draw(8, 4))
    assert [line.split("'")[1] for line in lines] == ["large", "still_large", "small"]
    assert "what it makes reaches" in lines[0]
    assert "and float16 ends at 65504" in lines[0]
    made = types(model)
    assert (made["gemm"], made["large"], made["still_large"], made["last"]) == (
        DataType.FLOAT16, DataType.FLOAT, DataType.FLOAT, DataType.FLOAT16,
    )  # fmt: skip
    z = draw(8, 4, seed=3)
    np.testing.assert_allclose(run(model, z)["y"], run(original, z)["y"], rtol=1e-2, atol=0.2)


def test_values_that_would_vanish_in_float16_are_found_by_calibration() -> None:
    constants: Constants = {"a": np.float32(1e-3), "b": np.float32(1e-4), "c": np.float32(1e4), "d": np.float32(1e3)}
    nodes = [
        node("Mul", ["x", "a"], ["s"], "safe"),
        node("Mul", ["s", "b"], ["t"], "tiny"),
        node("Mul", ["t", "c"], ["u"], "back"),
        node("Mul", ["u", "d"], ["y"], "last"),
    ]
    model, original = (model_of(nodes, constants, [4], {"y": FLOAT}) for _ in range(2))
    lines = halve(model, draw(8, 4))
    assert [line.split("'")[1] for line in lines] == ["tiny", "back"]
    assert "what it makes is" in lines[0]
    assert "vanishes in float16" in lines[0]
    z = draw(8, 4, seed=3)
    np.testing.assert_allclose(run(model, z)["y"], run(original, z)["y"], rtol=1e-2, atol=1e-2)


def test_the_share_of_the_range_that_is_safe_can_be_chosen() -> None:
    nodes = [node("Mul", ["x", "up"], ["y"], "mul")]
    x = np.ones((1, 1), np.float32)
    for share, said in ((0.25, []), (0.01, ["what it makes reaches 1e+04"]), (0.00001, ["its constant 'up' reaches"])):
        model = model_of(nodes, {"up": np.float32(1e4)}, [1], {"y": FLOAT})
        lines = [str(line) for line in to_half(model, [{"x": x}], safe_share=share, threads=1)]
        assert len(lines) == len(said)
        assert all(text in line for text, line in zip(said, lines, strict=True)) or share == 0.01
        assert run(model, x)["y"] == 1e4


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
    model, original = (model_of(nodes, constants, [4], {"y": FLOAT}) for _ in range(2))
    lines = {line.split("'")[1]: line for line in halve(model, draw(8, 4) * 1e-2)}
    assert "its constant 'w' reaches" in lines["large"]
    assert "it sums over many values" in lines["mean"]
    assert "its constant 'tiny' of 1e-08 vanishes in float16" in lines["epsilon"]
    assert types(model)["last"] == types(model)["divide"] == DataType.FLOAT16
    x = draw(8, 4, seed=4) * 1e-2
    np.testing.assert_allclose(run(model, x)["y"], run(original, x)["y"], rtol=1e-2, atol=1e-2)


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
    made, wanted = run(model, x), run(original, x)
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
    model, original = (
        model_of(nodes, {"w": draw(3, 3, 1, 1), "two": np.float32(2)}, [3, 4, 4], {"y": FLOAT}) for _ in (0, 1)
    )
    x = draw(2, 3, 4, 4)
    lines = halve(model, x)
    assert "Conv 'conv' stays in float32: a subgraph reads it" in lines
    assert "If 'choice' stays in float32: it holds a subgraph" in lines
    assert types(model)["last"] == DataType.FLOAT16
    np.testing.assert_allclose(run(model, x)["y"], run(original, x)["y"], rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize(("scale", "kind"), [(1e38, "infinity"), (np.nan, "NaN")])
def test_a_calibration_that_meets_no_number_names_the_node(scale: float, kind: str) -> None:
    nodes = [node("Mul", ["x", "up"], ["u"], "culprit"), node("Relu", ["u"], ["y"], "innocent")]
    model = model_of(nodes, {"up": np.float32(scale)}, [4], {"y": FLOAT})
    with pytest.raises(ExportError, match=f"^calibration meets {kind} in the output 'u' of Mul 'culprit'$"):
        to_half(model, [{"x": np.full((2, 4), 1e30, np.float32)}], threads=1)
    assert set(types(model).values()) == {DataType.FLOAT}


def test_a_calibration_without_inputs_is_refused() -> None:
    with pytest.raises(ExportError, match="calibration was given no inputs"):
        to_half(model_of([node("Relu", ["x"], ["y"], "relu")], {}, [4], {"y": FLOAT}), [], threads=1)
