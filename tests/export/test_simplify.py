"""Tidying keeps what a graph computes, and plain names depend on the graph alone."""

import numpy as np
import onnx_ir
from ganport_export.passes.name_plainly import name_plainly
from ganport_export.trace import simplify
from numpy.typing import NDArray
from onnx import parser
from onnx.reference import ReferenceEvaluator

TEXT = """
<ir_version: 10, opset_import: ["" : 18], producer_name: "someone">
g (float[batch, 4] z) => (float[batch, 2, 2] image)
<float[4] w = {1.0, 2.0, 3.0, 4.0}, float[1] unused = {7.0}>
{
    [named] scaled = Mul(z, w)
    two = Constant <value_float = 2.0>()
    four = Add(two, two)
    same = Mul(scaled, w)
    again = Mul(scaled, w)
    sum = Add(same, again)
    low = Constant <value_float = -1.0>()
    high = Constant <value_float = 1.0>()
    above = Max(sum, low)
    between = Min(above, high)
    shifted = Add(between, four)
    itself = Identity(shifted)
    all = Shape(itself)
    first = Constant <value_ints = [0]>()
    n = Gather(all, first)
    rest = Constant <value_ints = [2, 2]>()
    target = Concat <axis = 0>(n, rest)
    image = Reshape(itself, target)
}
"""


def model() -> onnx_ir.Model:
    return onnx_ir.serde.deserialize_model(parser.parse_model(TEXT))


def run(model: onnx_ir.Model, z: NDArray[np.float32]) -> NDArray[np.float32]:
    (image,) = ReferenceEvaluator(onnx_ir.serde.serialize_model(model)).run(None, {"z": z})
    return np.asarray(image)


def test_constants_are_folded_and_copies_merged_and_nothing_else_changes() -> None:
    z = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    tidied = model()
    simplify(tidied)
    assert [node.op_type for node in tidied.graph] == ["Mul", "Mul", "Add", "Clip", "Add", "Reshape"]
    np.testing.assert_array_equal(run(tidied, z), run(model(), z))


def test_names_say_the_operator_and_the_use() -> None:
    tidied = model()
    simplify(tidied)
    name_plainly(tidied)
    assert [node.name for node in tidied.graph] == ["mul_0", "mul_1", "add_0", "clip_0", "add_1", "reshape_0"]
    assert sorted(tidied.graph.initializers) == ["add_1.B", "clip_0.max", "clip_0.min", "mul_0.B", "reshape_0.shape"]
    assert [value.name for value in (*tidied.graph.inputs, *tidied.graph.outputs)] == ["z", "image"]


def test_names_and_notes_of_the_maker_leave_no_trace() -> None:
    z = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    renamed = model()
    for node in renamed.graph:
        node.name, node.doc_string = f"made at 12:00 {node.name}", "by someone"
        node.metadata_props["trace"] = "/home/someone/file.py"
        for value in node.outputs:
            if not value.is_graph_output():
                value.name = f"mul_{len(str(value.name))}_{value.name}"
    renamed.metadata_props["user"] = "someone"
    one, other = model(), renamed
    for each in (one, other):
        simplify(each)
        name_plainly(each)
    data = [onnx_ir.serde.serialize_model(each).SerializeToString(deterministic=True) for each in (one, other)]
    assert data[0] == data[1]
    assert b"someone" not in data[1]
    np.testing.assert_array_equal(run(other, z), run(model(), z))
