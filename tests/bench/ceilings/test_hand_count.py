"""The counts of one network, worked out by hand: the DCGAN generator of 64x64 pixels, width 64, kernels of 4x4.

100 latents -> 512 x 4x4 -> 256 x 8x8 -> 128 x 16x16 -> 64 x 32x32 -> 3 x 64x64, stride 2, padding 1, a bias each.
"""

from itertools import pairwise

import numpy as np
import onnx
import onnx_ir
import pytest
from ganport_bench.ceilings import NodeTraffic, NodeWork, demand_of, traffic_of, work_of
from ganport_export.passes.to_phase import to_phase
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

# Four bytes a number, for one image.
ACTIVATION_BYTES = [  # read, written
    (400, 32_768),  # 4 x 100, 4 x 512 x 4 x 4
    (32_768, 65_536),  # 4 x 256 x 8 x 8
    (65_536, 131_072),  # 4 x 128 x 16 x 16
    (131_072, 262_144),  # 4 x 64 x 32 x 32
    (262_144, 49_152),  # 4 x 3 x 64 x 64
]


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


def products(graph: bytes) -> list[tuple[NodeWork, NodeTraffic]]:
    traffic = {node.output: node for node in traffic_of(graph)}
    return [(work, traffic[work.output]) for work in work_of(graph)]


def test_as_trained(deconv: bytes) -> None:
    found = products(deconv)
    assert [work.multiply_adds for work, _ in found] == MULTIPLY_ADDS
    assert [work.needed for work, _ in found] == NEEDED
    assert [traffic.weight_bytes for _, traffic in found] == WEIGHT_BYTES
    assert [(traffic.read_bytes, traffic.written_bytes) for _, traffic in found] == ACTIVATION_BYTES


def test_in_phases_each_reads_all_and_writes_a_quarter(phase: bytes) -> None:
    dense, *convolutions = products(phase)
    assert dense[0].multiply_adds == MULTIPLY_ADDS[0]
    assert len(convolutions) == 16
    for layer in range(4):
        four = convolutions[4 * layer : 4 * layer + 4]
        read, written = ACTIVATION_BYTES[layer + 1]
        bias = 4 * CHANNELS[layer + 1]
        assert [work.operator for work, _ in four] == ["Conv"] * 4
        assert sum(work.multiply_adds for work, _ in four) == MULTIPLY_ADDS[layer + 1]
        assert sum(work.needed for work, _ in four) == NEEDED[layer + 1]
        assert sum(traffic.weight_bytes - bias for _, traffic in four) == WEIGHT_BYTES[layer + 1] - bias
        assert all((one.read_bytes, one.written_bytes) == (read, written // 4) for _, one in four)


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
