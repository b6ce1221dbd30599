"""Which values get a pair: none that a subgraph reads, nor one that only moves to such a value."""

import numpy as np
import onnx_ir
import pytest
from ganport_export.quantize.placement import RECIPES, place
from onnx import TensorProto, helper

from tests.support.onnx_files import graph_model


@pytest.mark.parametrize("captured", [True, False])
@pytest.mark.parametrize("moves", [["Identity"], ["Identity", "Relu"]])
def test_a_layer_gets_no_pair_behind_it_where_a_subgraph_reads_what_it_moves_to(
    moves: list[str], captured: bool
) -> None:
    names = ["g", *(f"m{index}" for index in range(len(moves)))]
    carried = [helper.make_node(op, [names[i]], [names[i + 1]], f"move{i}") for i, op in enumerate(moves)]
    read = names[-1] if captured else "x2"
    inner = helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)
    branch = helper.make_graph([helper.make_node("Abs", [read], ["inner"], "abs")], "branch", [], [inner])
    nodes = [
        helper.make_node("Identity", ["x"], ["x2"], "copy"),
        helper.make_node("Gemm", ["x", "w"], ["g"], "dense"),
        *carried,
        helper.make_node("If", ["yes"], ["i"], "choice", then_branch=branch, else_branch=branch),
        helper.make_node("Add", [names[-1], "i"], ["y"], "sum"),
    ]
    constants = {"w": np.ones((4, 4), np.float32), "yes": np.array(True)}
    values = {name: {name: (TensorProto.FLOAT, ["n", 4])} for name in "xy"}
    model = onnx_ir.serde.deserialize_model(graph_model(nodes, constants, values["x"], values["y"]))
    made = place(model, RECIPES["s8s8"])
    assert made.layers == ("dense",)
    assert ("g" in {value for group in made.groups for value in group.values}) != captured
