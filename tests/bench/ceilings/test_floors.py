import json

import numpy as np
import pytest
from ganport_bench.ceilings import Bandwidth, Floor, Peak, Stream, floors_of, share_of_ceiling
from ganport_bench.timing import Estimate
from onnx import TensorProto, helper, numpy_helper


def peak(precision: str, value: float) -> Peak:
    return Peak(precision, Estimate(value, value, value), "somehow", {}, {})


def bandwidth(value: float) -> Bandwidth:
    return Bandwidth(Stream(Estimate(value, value, value), "somehow", {}))


@pytest.fixture
def dense() -> bytes:
    """100 latents to 50 numbers: 5,000 multiply-adds, 5,000 weights, 400 and 200 bytes an image."""
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["z", "w"], ["y"])],
        "dense",
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["batch", 100])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 50])],
        [numpy_helper.from_array(np.ones((100, 50), np.float32), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    data: bytes = model.SerializeToString()
    return data


def test_a_small_batch_waits_for_the_weights_and_a_large_one_for_the_arithmetic(dense: bytes) -> None:
    floors = floors_of(dense, {"fp32": peak("fp32", 1e6), "int8": peak("int8", 1e6)}, bandwidth(1e6), (1, 8))
    assert {key: list(value) for key, value in floors.items()} == {"fp32": [1, 8], "int8": [1, 8]}
    one, eight, int8 = floors["fp32"][1], floors["fp32"][8], floors["int8"][1]
    assert one.bound == "memory"
    assert one.seconds == pytest.approx(20_600e-6)  # 4 x 5,000 + 600 bytes
    assert eight.bound == "arithmetic"
    assert eight.seconds == pytest.approx(80_000e-6)  # 8 x 2 x 5,000 operations
    assert eight.memory_seconds == pytest.approx(24_800e-6)
    assert int8.bound == "arithmetic"
    assert int8.memory_seconds == pytest.approx(5_600e-6), "weights of a byte each"
    assert eight.images_per_second == pytest.approx(100)
    assert json.loads(json.dumps(eight.to_json())) == {
        "seconds": pytest.approx(0.08),
        "bound": "arithmetic",
        "images_per_second": pytest.approx(100),
        "arithmetic_seconds": pytest.approx(0.08),
        "memory_seconds": pytest.approx(0.0248),
    }


def test_the_share_is_that_of_the_rate_at_the_floor() -> None:
    floors = {"fp32": {8: Floor("fp32", 8, arithmetic_seconds=0.08, memory_seconds=0.02)}}
    share, why = share_of_ceiling(floors, "fp32", 8, 75.0)
    assert share == pytest.approx(0.75)
    assert not why


def test_a_precision_without_a_peak_has_no_share_and_says_why() -> None:
    floors = {"fp32": {8: Floor("fp32", 8, 0.08, 0.02)}, "int8": {8: Floor("int8", 8, 0.02, 0.01)}}
    share, why = share_of_ceiling(floors, "fp16", 8, 75.0)
    assert share is None
    assert why == "no share of a ceiling: nothing here multiplies matrices in fp16 by itself, only in fp32, int8"
