"""Counts of a graph: one network worked out by hand, random convolutions against what running them adds up.

The network is the DCGAN generator of 64x64 pixels, width 64, kernels of 4x4:
100 latents -> 512 x 4x4 -> 256 x 8x8 -> 128 x 16x16 -> 64 x 32x32 -> 3 x 64x64, stride 2, padding 1, a bias each.
"""

from itertools import pairwise
from typing import Any

import numpy as np
import onnx
import onnx_ir
import onnxruntime  # type: ignore[import-untyped]
import pytest
from ganport_bench.errors import BenchError
from ganport_bench.graph_work import demand_of, multiply_adds, work_of
from ganport_export.passes.to_phase import to_phase
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

CHANNELS = (512, 256, 128, 64, 3)

# The dense layer: 100 x (512 x 4 x 4). A transposed convolution: the places of its input x input channels x output
# channels x 16 taps; for all but the last these are the same, as the places quadruple while both channels halve.
MULTIPLY_ADDS = [
    819_200,  # 100 x 8192
    33_554_432,  # 16 x 512 x 256 x 16
    33_554_432,  # 64 x 256 x 128 x 16
    33_554_432,  # 256 x 128 x 64 x 16
    3_145_728,  # 1024 x 64 x 3 x 16
]  # 104,628,224 in all

# Of an axis of n places with 4 taps each, 4n pairs, the first tap of the first place and the last tap of the last one
# fall on the border that padding 1 crops: 4n - 2 are left.
NEEDED = [
    819_200,
    25_690_112,  # 14 x 14 x 512 x 256
    29_491_200,  # 30 x 30 x 256 x 128
    31_490_048,  # 62 x 62 x 128 x 64
    3_048_192,  # 126 x 126 x 64 x 3
]  # 90,538,752 in all

# Four bytes a number: weights and a bias for each output channel (of the dense layer: for each output).
WEIGHT_BYTES = [
    3_309_568,  # 4 x (100 x 8192 + 8192)
    8_389_632,  # 4 x (512 x 256 x 16 + 256)
    2_097_664,  # 4 x (256 x 128 x 16 + 128)
    524_544,  # 4 x (128 x 64 x 16 + 64)
    12_300,  # 4 x (64 x 3 x 16 + 3)
]  # 14,333,708 in all: 4 x 3,583,427


@pytest.fixture(scope="module")
def deconv() -> bytes:
    shape = numpy_helper.from_array(np.array([0, 512, 4, 4], np.int64), "shape")
    stored = [shape, *_constants("dense", (100, 8192), 8192)]
    nodes = [
        helper.make_node("Gemm", ["z", "dense.weight", "dense.bias"], ["dense"], "dense"),
        helper.make_node("Reshape", ["dense", "shape"], ["grid"], "grid"),
        helper.make_node("Relu", ["grid"], ["relu_0"], "relu_0"),
    ]
    for index, (inputs, outputs) in enumerate(pairwise(CHANNELS)):
        name, after = f"up_{index}", f"relu_{index + 1}"
        stored += _constants(name, (inputs, outputs, 4, 4), outputs)
        names = [f"relu_{index}", f"{name}.weight", f"{name}.bias"]
        nodes += [
            helper.make_node("ConvTranspose", names, [name], name, strides=[2, 2], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", [name], [after], after),
        ]
    nodes.append(helper.make_node("Cast", ["relu_4"], ["image"], "image", to=TensorProto.UINT8))
    graph = helper.make_graph(
        nodes,
        "dcgan",
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["batch", 100])],
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 3, 64, 64])],
        stored,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    data: bytes = model.SerializeToString()
    return data


def _constants(name: str, weight: tuple[int, ...], bias: int) -> list[onnx.TensorProto]:
    shapes = {f"{name}.weight": weight, f"{name}.bias": (bias,)}
    return [numpy_helper.from_array(np.zeros(shape, np.float32), key) for key, shape in shapes.items()]


@pytest.fixture(scope="module")
def phase(deconv: bytes) -> bytes:
    model = onnx_ir.serde.deserialize_model(onnx.load_from_string(deconv))
    assert to_phase(model) == ()
    data: bytes = onnx_ir.serde.serialize_model(model).SerializeToString()
    return data


def test_as_trained(deconv: bytes) -> None:
    found = work_of(deconv)
    assert [work.multiply_adds for work in found] == MULTIPLY_ADDS
    assert [work.needed for work in found] == NEEDED
    assert [work.weight_bytes for work in found] == WEIGHT_BYTES


def test_in_phases_four_convolutions_do_the_same_work(phase: bytes) -> None:
    dense, *convolutions = work_of(phase)
    assert dense.multiply_adds == MULTIPLY_ADDS[0]
    assert len(convolutions) == 16
    for layer in range(4):
        four, bias = convolutions[4 * layer : 4 * layer + 4], 4 * CHANNELS[layer + 1]
        assert [work.operator for work in four] == ["Conv"] * 4
        assert sum(work.multiply_adds for work in four) == MULTIPLY_ADDS[layer + 1]
        assert sum(work.needed for work in four) == NEEDED[layer + 1]
        assert sum(work.weight_bytes - bias for work in four) == WEIGHT_BYTES[layer + 1] - bias


@pytest.mark.parametrize("form", ["deconv", "phase"])
def test_what_either_form_asks_for_at_least(form: str, request: pytest.FixtureRequest) -> None:
    demand = demand_of(request.getfixturevalue(form))
    assert demand.to_json() == {
        "multiply_adds": 104_628_224,
        "needed_multiply_adds": 90_538_752,
        "weight_values": 3_583_427,
        "weight_bytes": 14_333_708,
        "latent_bytes": 400,
        "image_bytes": 12_288,  # 3 x 64 x 64, a byte each
    }
    assert demand.operations(8) == 16 * 90_538_752
    assert demand.bytes("fp32", 8) == 14_333_708 + 8 * 12_688
    assert demand.bytes("int8", 1) == 3_583_427 + 12_688


def model_of(
    node: onnx.NodeProto, inputs: dict[str, list[int | str]], weights: dict[str, NDArray[Any]], kind: int = 1
) -> onnx.ModelProto:
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info("y", kind, None)],
        [numpy_helper.from_array(np.asarray(weight), name) for name, weight in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def counted_by_running(model: onnx.ModelProto, shape: list[int]) -> int:
    """Where every factor is one, each output value is the number of products that were added up for it."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {"x": np.ones(shape, np.float32)})
    return int(output.sum())


@settings(max_examples=30, deadline=None)
@given(
    operator=st.sampled_from(["Conv", "ConvTranspose"]),
    groups=st.integers(1, 3),
    inputs=st.integers(1, 3),
    outputs=st.integers(1, 3),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    size=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    stride=st.integers(1, 3),
)
def test_a_convolution_is_counted_as_it_is_computed(
    operator: str, groups: int, inputs: int, outputs: int, kernel: tuple[int, int], size: tuple[int, int], stride: int
) -> None:
    """Without padding or cropping nothing is counted that is not computed."""
    assume(operator == "ConvTranspose" or all(one >= other for one, other in zip(size, kernel, strict=True)))
    channels = (groups * outputs, inputs) if operator == "Conv" else (groups * inputs, outputs)
    weight = np.ones((*channels, *kernel), np.float32)
    node = helper.make_node(operator, ["x", "w"], ["y"], group=groups, strides=[stride, stride])
    model = model_of(node, {"x": ["batch", groups * inputs, *size]}, {"w": weight})
    assert multiply_adds(model.SerializeToString()) == counted_by_running(model, [1, groups * inputs, *size])


@settings(max_examples=40, deadline=None)
@given(
    operator=st.sampled_from(["Conv", "ConvTranspose"]),
    size=st.tuples(st.integers(3, 7), st.integers(3, 7)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    padding=st.one_of(
        st.tuples(*[st.integers(0, 2)] * 4).map(lambda pads: {"pads": list(pads)}),
        st.sampled_from(["SAME_UPPER", "SAME_LOWER", "VALID"]).map(lambda way: {"auto_pad": way}),
    ),
)
def test_needed_are_those_that_a_padded_or_cropped_convolution_adds_up(
    operator: str, size: tuple[int, int], kernel: tuple[int, int], stride: int, dilation: int, padding: dict[str, Any]
) -> None:
    attributes = {"strides": [stride] * 2, "dilations": [dilation] * 2, **padding}
    channels = (5, 2) if operator == "Conv" else (2, 5)
    weight = np.ones((*channels, *kernel), np.float32)
    model = model_of(
        helper.make_node(operator, ["x", "w"], ["y"], **attributes), {"x": ["batch", 2, *size]}, {"w": weight}
    )
    try:
        wanted = counted_by_running(model, [1, 2, *size])
    except Exception:  # nothing is left of it, or the library takes no such padding
        assume(False)
    (node,) = work_of(model.SerializeToString())
    assert node.needed == wanted <= node.multiply_adds


def test_an_output_shape_that_is_asked_for_crops_too() -> None:
    weight = np.ones((2, 5, 4, 4), np.float32)
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2], output_shape=[7, 8])
    model = model_of(node, {"x": ["batch", 2, 4, 4]}, {"w": weight})
    (work,) = work_of(model.SerializeToString())
    assert work.needed == counted_by_running(model, [1, 2, 4, 4]) < work.multiply_adds


@pytest.mark.parametrize(
    ("operator", "weight", "attributes"),
    [("Gemm", (5, 7), {}), ("Gemm", (7, 5), {"transB": 1}), ("MatMul", (5, 7), {})],
)
def test_a_dense_layer_is_counted_as_it_is_computed(
    operator: str, weight: tuple[int, int], attributes: dict[str, Any]
) -> None:
    node = helper.make_node(operator, ["x", "w"], ["y"], **attributes)
    model = model_of(node, {"x": ["batch", 5]}, {"w": np.ones(weight, np.float32)})
    assert multiply_adds(model.SerializeToString()) == counted_by_running(model, [1, 5]) == 35


def test_a_quantized_convolution_is_counted_like_an_ordinary_one() -> None:
    names = ["x", "scale", "zero", "w", "scale", "weight_zero", "scale", "zero"]
    weights: dict[str, NDArray[Any]] = {
        "w": np.ones((6, 4, 3, 3), np.int8),
        "scale": np.asarray(np.float32(0.1)),
        "zero": np.asarray(np.uint8(0)),
        "weight_zero": np.asarray(np.int8(0)),
    }
    model = model_of(helper.make_node("QLinearConv", names, ["y"]), {"x": [1, 4, 8, 8]}, weights, TensorProto.UINT8)
    assert multiply_adds(model.SerializeToString()) == 6 * 6 * 6 * 4 * 3 * 3


def test_a_shape_that_is_not_fixed_is_an_error() -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"], name="first")
    model = model_of(node, {"x": ["batch", 3, "height", 8]}, {"w": np.ones((4, 3, 3, 3), np.float32)})
    with pytest.raises(BenchError, match="Conv first cannot be counted: x has no fixed shape"):
        multiply_adds(model.SerializeToString())


def test_a_weight_that_several_nodes_read_is_read_once_by_the_whole() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], "first", pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["c", "w", "b"], ["y"], "second", pads=[1, 1, 1, 1]),
    ]
    weights = {"w": np.ones((4, 4, 3, 3), np.float32), "b": np.ones(4, np.float32)}
    model = model_of(nodes[0], {"x": ["batch", 4, 8, 8]}, weights)
    model.graph.node.append(nodes[1])
    data = model.SerializeToString()
    assert [node.weight_bytes for node in work_of(data)] == [4 * 148] * 2
    assert (demand_of(data).weight_values, demand_of(data).weight_bytes) == (148, 4 * 148)


def test_dequantized_weights_count_as_they_are_stored_and_initializers_are_no_latents() -> None:
    stored: dict[str, Any] = {"w": np.ones((5, 2), np.int8), "scale": np.float32(0.1), "zero": np.int8(0)}
    model = model_of(helper.make_node("Gemm", ["x", "w.d"], ["y"]), {"x": ["n", 5]}, stored)
    model.graph.node.insert(0, helper.make_node("DequantizeLinear", ["w", "scale", "zero"], ["w.d"]))
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.INT8, [5, 2]))
    demand = demand_of(model.SerializeToString())
    assert (demand.latent_bytes, demand.image_bytes, demand.weight_bytes) == (20, 8, 10)
