from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir
import onnxruntime  # type: ignore[import-untyped]
import pytest
import torch
from ganport_bench.ceilings import multiply_adds, work_of
from ganport_bench.errors import BenchError
from ganport_bench.peers.source import NetworkSource
from ganport_export.passes.to_phase import to_phase
from ganport_train.networks import DcganGenerator
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper


def model_of(
    node: onnx.NodeProto, inputs: dict[str, list[int | str]], weights: dict[str, npt.NDArray[Any]], kind: int = 1
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
    operator: str,
    groups: int,
    inputs: int,
    outputs: int,
    kernel: tuple[int, int],
    size: tuple[int, int],
    stride: int,
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
    operator: str,
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: int,
    dilation: int,
    padding: dict[str, Any],
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
    weights: dict[str, npt.NDArray[Any]] = {
        "w": np.ones((6, 4, 3, 3), np.int8),
        "scale": np.asarray(np.float32(0.1)),
        "zero": np.asarray(np.uint8(0)),
        "weight_zero": np.asarray(np.int8(0)),
    }
    model = model_of(helper.make_node("QLinearConv", names, ["y"]), {"x": [1, 4, 8, 8]}, weights, TensorProto.UINT8)
    assert multiply_adds(model.SerializeToString()) == 6 * 6 * 6 * 4 * 3 * 3


@pytest.mark.parametrize("kernel", [4, 5])
def test_a_network_is_counted_as_by_hand_in_either_form(kernel: int) -> None:
    """16x16, width 4: 5 latents to 8 channels of 4x4, to 4 of 8x8, to 3 of 16x16."""
    network = DcganGenerator(resolution=16, channels=3, width=4, kernel=kernel, latent_dim=5).eval()
    by_hand = [5 * 8 * 16, 16 * 8 * 4 * kernel**2, 64 * 4 * 3 * kernel**2]
    export = NetworkSource(network, 5).stock_export
    assert [node.multiply_adds for node in work_of(export)] == by_hand
    assert [node.operator for node in work_of(export)] == ["Gemm", "ConvTranspose", "ConvTranspose"]

    model = onnx_ir.serde.deserialize_model(onnx.load_from_string(export))
    assert to_phase(model) == ()
    phases = work_of(onnx_ir.serde.serialize_model(model).SerializeToString())
    assert [node.operator for node in phases] == ["Gemm"] + ["Conv"] * 8
    assert sum(node.multiply_adds for node in phases) == sum(by_hand)


def test_a_shape_that_is_not_fixed_is_an_error() -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"], name="first")
    model = model_of(node, {"x": ["batch", 3, "height", 8]}, {"w": np.ones((4, 3, 3, 3), np.float32)})
    with pytest.raises(BenchError, match="Conv first cannot be counted: x has no fixed shape"):
        multiply_adds(model.SerializeToString())


def test_nodes_are_named_as_in_the_graph() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(5, 12), torch.nn.Unflatten(1, (3, 2, 2)), torch.nn.Tanh())
    (node,) = work_of(NetworkSource(network, 5).stock_export)
    assert node.needed == 60
    assert (node.multiply_adds, node.operator) == (60, "Gemm")
    graph = onnx.load_from_string(NetworkSource(network, 5).stock_export).graph
    assert (node.name, node.output) in [(one.name, one.output[0]) for one in graph.node]
