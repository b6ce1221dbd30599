from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from ganport_bench.ceilings import demand_of, traffic_of
from ganport_bench.errors import BenchError
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT8 = TensorProto.FLOAT, TensorProto.INT8


def model_of(
    nodes: Sequence[onnx.NodeProto],
    stored: dict[str, Any],
    *,
    inputs: Sequence[int | str] = ("batch", 4, 8, 8),
    output: str = "y",
    kind: int = FLOAT,
) -> bytes:
    graph = helper.make_graph(
        list(nodes),
        "some",
        [helper.make_tensor_value_info("x", FLOAT, inputs)],
        [helper.make_tensor_value_info(output, kind, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in stored.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    data: bytes = model.SerializeToString()
    return data


def quantize(name: str) -> onnx.NodeProto:
    return helper.make_node("QuantizeLinear", [name, "scale", "zero"], [f"{name}.q"], f"{name}.q")


def dequantize(name: str, scale: str = "scale", zero: str = "zero", **axis: int) -> onnx.NodeProto:
    return helper.make_node(
        "DequantizeLinear", [name, scale, zero], [f"{name}.d"], f"{name}.d", None, None, None, **axis
    )


SCALES = {
    "scale": np.float32(0.1),
    "zero": np.int8(0),
    "w": np.ones((6, 4, 3, 3), np.int8),
    "w.scale": np.ones(6, np.float32),
    "w.zero": np.zeros(6, np.int8),
}
CONVOLVED = [
    quantize("x"),
    dequantize("x.q"),
    dequantize("w", "w.scale", "w.zero", axis=0),
    helper.make_node("Conv", ["x.q.d", "w.d"], ["c"], "c", pads=[1, 1, 1, 1]),
]


def test_between_its_quantizers_a_node_reads_and_writes_int8() -> None:
    nodes = [*CONVOLVED, quantize("c"), dequantize("c.q"), helper.make_node("Relu", ["c.q.d"], ["y"], "relu")]
    conv, relu = traffic_of(model_of(nodes, SCALES))
    assert (conv.name, conv.weight_bytes, conv.read_bytes, conv.written_bytes) == ("c", 216, 256, 384)
    assert (relu.name, relu.weight_bytes, relu.read_bytes, relu.written_bytes) == ("relu", 0, 384, 4 * 384)
    assert conv.bytes(10) == 216 + 10 * (256 + 384)


def test_what_is_also_read_as_float_is_written_as_float_and_quantized_by_a_node_of_its_own() -> None:
    nodes = [
        *CONVOLVED,
        quantize("c"),
        dequantize("c.q"),
        helper.make_node("Add", ["c", "c.q.d"], ["y"], "sum"),
    ]
    conv, quantizer, total = traffic_of(model_of(nodes, SCALES))
    assert (conv.written_bytes, quantizer.read_bytes, quantizer.written_bytes) == (4 * 384, 4 * 384, 384)
    assert (quantizer.operator, total.read_bytes) == ("QuantizeLinear", 5 * 384)


def test_views_and_constants_move_nothing() -> None:
    nodes = [
        helper.make_node("Constant", [], ["s"], value=numpy_helper.from_array(np.array([0, 4, 64], np.int64), "")),
        helper.make_node("Relu", ["x"], ["r"], "relu"),
        helper.make_node("Reshape", ["r", "s"], ["v"], "view"),
        helper.make_node("Transpose", ["w"], ["t"], "transposed", perm=[1, 0]),
        helper.make_node("MatMul", ["v", "t"], ["y"], "product"),
    ]
    weight = np.ones((5, 64), np.float16).astype(np.float32)
    relu, product = traffic_of(model_of(nodes, {"w": weight}))
    assert (relu.read_bytes, relu.written_bytes) == (1024, 1024)
    assert (product.weight_bytes, product.read_bytes, product.written_bytes) == (4 * 320, 1024, 4 * 20)


def test_a_weight_that_several_nodes_read_is_read_once_by_the_whole() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], "first", pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["c", "w", "b"], ["y"], "second", pads=[1, 1, 1, 1]),
    ]
    model = model_of(nodes, {"w": np.ones((4, 4, 3, 3), np.float32), "b": np.ones(4, np.float32)})
    assert [node.weight_bytes for node in traffic_of(model)] == [4 * 148] * 2
    assert (demand_of(model).weight_values, demand_of(model).weight_bytes) == (148, 4 * 148)


def test_an_initializer_among_the_inputs_is_no_latent() -> None:
    graph = onnx.load_from_string(
        model_of([helper.make_node("Gemm", ["x", "w"], ["y"])], {"w": np.ones((5, 2), np.float32)}, inputs=["n", 5])
    )
    graph.graph.input.append(helper.make_tensor_value_info("w", FLOAT, [5, 2]))
    demand = demand_of(graph.SerializeToString())
    assert (demand.latent_bytes, demand.image_bytes, demand.weight_bytes) == (20, 8, 40)


def test_a_shape_that_is_not_fixed_is_an_error() -> None:
    node = helper.make_node("Relu", ["x"], ["y"], "first")
    with pytest.raises(BenchError, match="Relu first cannot be counted: x has no fixed shape"):
        traffic_of(model_of([node], {}, inputs=["batch", 4, "height", 8]))
