"""A batch norm that cannot be folded stays, with its reason, and the graph computes what it did."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from ganport_export.passes.fold_batch_norm import fold_batch_norm
from onnx import helper

from tests.export.graphs import model_of, norm, operators, run_by_reference, statistics, weights


def conv(name: str = "layer") -> onnx.NodeProto:
    return helper.make_node("Conv", ["x", "w"], ["h"], name=name)


Nodes = Callable[[], list[onnx.NodeProto]]
LEFT: dict[str, tuple[Nodes, str]] = {
    "its layer is read twice": (
        lambda: [conv(), norm("h", "n"), helper.make_node("Add", ["n", "h"], ["y"])],
        "goes elsewhere too",
    ),
    "no layer": (lambda: [norm("x", "y")], "no layer comes before it"),
    "another operator": (
        lambda: [conv(), helper.make_node("Relu", ["h"], ["r"], name="r"), norm("r", "y")],
        "it follows Relu 'r'",
    ),
    "computed weights": (
        lambda: [
            helper.make_node("ReduceMean", ["x"], ["mean"], keepdims=0),
            helper.make_node("Mul", ["w", "mean"], ["scaled"]),
            helper.make_node("Conv", ["x", "scaled"], ["h"], name="layer"),
            norm("h", "y"),
        ],
        "it follows Conv 'layer', no layer with constant weights",
    ),
    "columns in several channels": (
        lambda: [conv(), helper.make_node("Transpose", ["h"], ["m"], perm=[0, 2, 1, 3]), norm("m", "y")],
        "reach several channels",
    ),
    "images mixed": (
        lambda: [conv(), helper.make_node("Transpose", ["h"], ["m"], perm=[2, 1, 0, 3]), norm("m", "y")],
        "between images",
    ),
    "statistics of the batch": (
        lambda: [
            conv(),
            helper.make_node(
                "BatchNormalization", ["h", *(f"norm.{p}" for p in "abmv")], ["y", "m1", "v1"], training_mode=1
            ),
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
