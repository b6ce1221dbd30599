"""Values inside a graph come out batch by batch as the graph computes them, and what is no number is named."""

import numpy as np
import onnx_ir
import pytest
from ganport_export.errors import ExportError
from ganport_export.graph import to_bytes
from ganport_export.session import Range, activation_ranges, fill_in_types, intermediate_values

from tests.export.graphs import model_of, node, weights
from tests.support.onnx_files import graph_model


def network() -> onnx_ir.Model:
    nodes = [
        node("Mul", ["x", "two"], ["double"], "doubling"),
        node("Relu", ["double"], ["positive"], "relu"),
        node("ReduceSum", ["positive"], ["y"], "sum"),
    ]
    return model_of(nodes, {"two": np.array(2, np.float32)}, (3,))


def test_named_values_of_every_batch() -> None:
    model = network()
    before = to_bytes(model)
    batches = [weights(np.random.default_rng(0), n, 3) for n in (2, 5)]
    made = list(intermediate_values(model, ["x", "double", "positive", "y"], [{"x": x} for x in batches], threads=1))
    assert [sorted(values) for values in made] == [["double", "positive", "x", "y"]] * 2
    for values, x in zip(made, batches, strict=True):
        np.testing.assert_array_equal(values["x"], x)
        np.testing.assert_array_equal(values["double"], 2 * x)
        np.testing.assert_array_equal(values["positive"], np.maximum(2 * x, 0))
    assert to_bytes(model) == before


def test_batches_are_run_as_they_are_asked_for() -> None:
    given: list[int] = []

    def feeds() -> object:
        for n in range(1, 4):
            given.append(n)
            yield {"x": np.ones((n, 3), np.float32)}

    made = intermediate_values(network(), ["double"], feeds(), threads=1)  # type: ignore[arg-type]
    assert len(next(made)["double"]) == 1
    assert given == [1]


def test_ranges_span_all_batches() -> None:
    feeds = [{"x": np.array([row], np.float32)} for row in ([1, 2, 3], [-4, 0, 1])]
    ranges = activation_ranges(network(), ["x", "double", "positive"], feeds, threads=1)
    assert ranges == {"x": Range(-4, 3), "double": Range(-8, 6), "positive": Range(0, 6)}
    assert ranges["double"].largest == 8
    assert activation_ranges(network(), ["x"], feeds, threads=1) == {"x": Range(-4, 3)}
    with pytest.raises(ExportError, match="calibration was given no inputs"):
        activation_ranges(network(), ["x"], [], threads=1)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.nan, "calibration is given NaN in the input 'x'"),
        (3e38, "calibration meets infinity in the output 'double' of Mul 'doubling'"),
    ],
)
def test_what_is_no_number_is_named(value: float, said: str) -> None:
    feeds = [{"x": np.zeros((1, 3), np.float32)}, {"x": np.full((1, 3), value, np.float32)}]
    with pytest.raises(ExportError, match=f"^{said}$"):
        activation_ranges(network(), ["x", "double", "positive"], feeds, threads=1)


def test_a_graph_that_cannot_be_run_is_one_line() -> None:
    foreign = graph_model(
        [node("Foo", ["x"], ["y"], "foo", domain="somewhere")], {}, {"x": (1, ["n", 3])}, {"y": (1, None)},
        domains=["somewhere"],
    )  # fmt: skip
    with pytest.raises(ExportError, match=r"cannot run it: .*somewhere:Foo") as caught:
        activation_ranges(onnx_ir.serde.deserialize_model(foreign), ["y"], [])
    assert "\n" not in str(caught.value)
    with pytest.raises(ExportError, match=r"onnxruntime fails on x float32 \[1, 4\]: "):
        activation_ranges(network(), ["y"], [{"x": np.zeros((1, 4), np.float32)}], threads=1)


def test_types_behind_operators_that_onnx_does_not_know_come_from_the_engine() -> None:
    nodes = [
        node("QuickGelu", ["x"], ["q"], domain="com.microsoft"),
        node("Relu", ["q"], ["r"]),
        node("Shape", ["r"], ["y"]),
    ]
    proto = graph_model(nodes, {}, {"x": (1, ["n", 3])}, {"y": (7, None)}, domains=["com.microsoft"])
    model = onnx_ir.serde.deserialize_model(proto)
    fill_in_types(model)
    types = [node.outputs[0].dtype for node in model.graph]
    assert types == [onnx_ir.DataType.FLOAT, onnx_ir.DataType.FLOAT, onnx_ir.DataType.INT64]
