"""Peaks, bandwidth and floors. The fastest way counts; a floor is the longer of arithmetic and memory."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import pytest
import torch
from ganport_bench import peaks, peaks_cuda
from ganport_bench.baselines.pytorch_cuda import cuda_refusal
from ganport_bench.ceilings import BatchFloor, Limits, ceilings_of, share_of_ceiling
from ganport_bench.errors import BenchError
from ganport_bench.peaks import (
    MAKERS,
    Bandwidth,
    Maker,
    Peak,
    Product,
    ProductShape,
    StreamRate,
    higher_bandwidth,
    higher_peaks,
    int8_product,
    last_cache_bytes,
    measure_bandwidth,
    measure_peaks,
)
from ganport_bench.peaks_cuda import EventTurns, cuda_product, measure_cuda_bandwidth, measure_cuda_peaks
from ganport_bench.timing import Estimate
from onnx import TensorProto, helper, numpy_helper

SHAPE = (32, 48, 16)
REFUSAL = cuda_refusal()


def peak(precision: str, value: float) -> Peak:
    return Peak(precision, Estimate(value, value, value), "somehow", {}, {})


def stream(value: float) -> StreamRate:
    return StreamRate(Estimate(value, value, value), "somehow", {})


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


# ---- floors ------------------------------------------------------------------------------------------------------


def test_a_small_batch_waits_for_the_weights_and_a_large_one_for_the_arithmetic(dense: bytes) -> None:
    limits = Limits({"fp32": peak("fp32", 1e6), "int8": peak("int8", 1e6)}, Bandwidth(stream(1e6)))
    ceilings = ceilings_of(dense, {"cpu": limits}, (1, 8))
    floors = ceilings.floors["cpu"]
    assert {key: list(value) for key, value in floors.items()} == {"fp32": [1, 8], "int8": [1, 8]}
    one, eight, int8 = floors["fp32"][1], floors["fp32"][8], floors["int8"][1]
    assert one.bound == "memory"
    assert one.seconds == pytest.approx(20_600e-6)  # 4 x 5,000 + 600 bytes
    assert eight.bound == "arithmetic"
    assert eight.seconds == pytest.approx(80_000e-6)  # 8 x 2 x 5,000 operations
    assert int8.memory_seconds == pytest.approx(5_600e-6), "weights of a byte each"
    assert json.loads(json.dumps(ceilings.to_json()))["floors"]["fp32"]["8"] == {
        "seconds": pytest.approx(0.08),
        "bound": "arithmetic",
        "images_per_second": pytest.approx(100),
        "arithmetic_seconds": pytest.approx(0.08),
        "memory_seconds": pytest.approx(0.0248),
    }


def test_the_share_is_that_of_the_rate_at_the_floor() -> None:
    floors = {"fp32": {8: BatchFloor("fp32", 8, arithmetic_seconds=0.08, memory_seconds=0.02)}}
    share, why = share_of_ceiling(floors, "fp32", 8, 75.0)
    assert share == pytest.approx(0.75)
    assert not why
    share, why = share_of_ceiling(floors, "fp16", 8, 75.0)
    assert share is None
    assert why, "a precision without a peak"


def test_what_the_last_cache_holds_moves_at_its_speed_and_the_rest_at_the_memorys() -> None:
    found = Bandwidth(stream(10.0), stream(50.0), cache_bytes=100)
    assert found.seconds(50) == pytest.approx(1)
    assert found.seconds(100) == pytest.approx(2)
    assert found.seconds(150) == pytest.approx(2 + 5)
    assert Bandwidth(stream(10.0)).seconds(150) == pytest.approx(15)
    slow_cache = Bandwidth(stream(10.0), stream(5.0), cache_bytes=100)
    assert slow_cache.seconds(100) == pytest.approx(10), "a cache measured slower than memory makes no floor higher"


def test_of_two_measurements_the_higher_one_counts() -> None:
    found = higher_bandwidth(Bandwidth(stream(10.0), stream(50.0), 100), Bandwidth(stream(8.0), stream(60.0), 100))
    assert found == Bandwidth(stream(10.0), stream(60.0), 100)
    first = {"fp32": peak("fp32", 100), "bf16": peak("bf16", 300)}
    second = {"fp32": peak("fp32", 120), "bf16": peak("bf16", 250)}
    assert higher_peaks(first, second) == {"fp32": peak("fp32", 120), "bf16": peak("bf16", 300)}


# ---- peaks -------------------------------------------------------------------------------------------------------


def taking(seconds: float) -> Product:
    return lambda: time.sleep(seconds)


def test_the_fastest_product_is_the_peak_and_what_cannot_run_or_takes_too_long_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(_shape: ProductShape) -> Product:
        raise RuntimeError("no such instruction\nand a long story")

    makers: dict[str, dict[str, Maker]] = {
        "fp32": {
            "slow": lambda _shape: taking(0.03),
            "by depth": lambda shape: taking(shape[1] ** 2 * 0.25e-3),
            "broken": broken,
            "emulated": lambda _shape: taking(0.06),
        },
        "int8": {"broken": broken},
    }
    monkeypatch.setattr(peaks, "SLOW_SECONDS", 0.05)
    found = measure_peaks(rounds=3, turn_seconds=0.02, shapes=[(10, 4, 10), (10, 12, 10)], makers=makers)
    assert list(found) == ["fp32"], "nothing runs in int8"
    assert found["fp32"].how == "by depth, 10x4x10"
    exact = 2 * 10 * 4 * 10 / 0.004
    assert exact / 4 < found["fp32"].operations_per_second.value <= exact, "sleeping takes longer, never less"
    assert set(found["fp32"].others) == {"slow, 10x4x10", "slow, 10x12x10", "by depth, 10x12x10"}
    assert found["fp32"].refused["broken"] == "no such instruction"
    assert set(found["fp32"].refused) == {"broken", "emulated"}


@pytest.mark.parametrize("left", ["int8", "uint8"])
def test_an_int8_product_is_what_its_graph_says(left: str) -> None:
    model, factor, wanted = int8_product(SHAPE, left)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"left": factor})
    assert (found.dtype, found.shape) == (np.dtype(left), (32, 16))
    assert np.abs(found.astype(int) - wanted).max() <= 1
    assert wanted.std() > 20, "a result that uses its range"


EVERY = {how: make for makers in MAKERS.values() for how, make in makers.items()}


@pytest.mark.parametrize("how", EVERY)
def test_every_library_makes_a_product_that_passes_its_own_check(how: str) -> None:
    try:
        product = EVERY[how](SHAPE)
    except BenchError as error:  # a processor without bfloat16, or whose int8 products saturate
        pytest.skip(str(error))
    product()


def test_a_product_that_is_wrong_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def off_by_three(shape: ProductShape, left: str) -> tuple[bytes, object, Any]:
        model, factor, wanted = int8_product(shape, left)
        return model, factor, wanted + 3

    monkeypatch.setattr(peaks, "int8_product", off_by_three)
    for how in ("ONNX Runtime, u8 by s8, u8 out", "OpenVINO, u8 by s8, u8 out"):
        with pytest.raises(BenchError, match="is off by"):
            EVERY[how](SHAPE)


# ---- memory ------------------------------------------------------------------------------------------------------


def asleep(seconds: float) -> Callable[[Any], object]:
    return lambda _arrays: time.sleep(seconds)


def test_the_fastest_stream_counts_and_its_bytes_are_those_it_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels = {"one": (1, asleep(0.004)), "three": (3, asleep(0.006))}  # three times the bytes in half as long again
    monkeypatch.setattr(peaks, "KERNELS", kernels)
    monkeypatch.setattr(peaks, "CALL_BYTES", 1)
    monkeypatch.setattr(peaks, "BEYOND", 1)
    monkeypatch.setattr(peaks, "thread_choices", lambda: (2, 1))
    size = 2 * 1024 * 8  # two threads' parts
    found = measure_bandwidth(rounds=2, turn_seconds=0.01, cache_bytes=size)
    assert found.memory.how == "three, 2 threads, arrays of 0.0156 MiB"
    assert list(found.memory.others) == ["one, 2 threads, arrays of 0.0156 MiB"]
    exact = 3 * size / 0.006
    assert exact / 3 < found.memory.bytes_per_second.value <= exact, "sleeping takes longer, never less"
    assert (found.cache_bytes, found.cache is not None) == (size, True)


def test_real_streams_do_what_they_are_called_and_are_all_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, (count, kernel) in peaks.KERNELS.items():
        arrays = [np.full(4, value) for value in (0.0, 2.0, 3.0)]
        kernel(arrays)
        wanted = {"NumPy's maximum": 0.0, "NumPy's copyto": 2.0, "NumPy's add": 5.0}[name]
        assert arrays[0].tolist() == [wanted] * 4
        assert count == list(peaks.KERNELS).index(name) + 1
    monkeypatch.setattr(peaks, "CALL_BYTES", 2**20)
    document = measure_bandwidth(rounds=2, turn_seconds=0.005, cache_bytes=2**20).to_json()
    assert set(document) == {"bytes_per_second", "how", "others", "cache"}
    assert set(document["cache"]) == {"bytes", "bytes_per_second", "how", "others"}
    assert len(document["others"]) == 2
    assert document["bytes_per_second"]["low"] > 1e6


def test_a_cache_that_cores_share_is_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four cores in two pairs, of which this process may use three; each pair shares a last cache of 8 MiB."""
    for core in range(4):
        pair = core // 2 * 2
        caches = {
            "index0": {"level": "1", "type": "Instruction", "size": "64K", "shared_cpu_list": f"{core}"},
            "index1": {"level": "2", "type": "Unified", "size": "512K", "shared_cpu_list": f"{core}"},
            "index2": {"level": "3", "type": "Unified", "size": "8192K", "shared_cpu_list": f"{pair}-{pair + 1}"},
        }
        for index, facts in caches.items():
            folder = tmp_path / f"sys/devices/system/cpu/cpu{core}/cache/{index}"
            folder.mkdir(parents=True)
            for name, text in facts.items():
                (folder / name).write_text(f"{text}\n")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1, 2}, raising=False)
    assert last_cache_bytes(tmp_path) == 2 * 8 * 2**20
    assert last_cache_bytes(tmp_path / "nothing") is None


# ---- a GPU -------------------------------------------------------------------------------------------------------


@dataclass
class Gpu:
    """A GPU whose every piece of work takes 2 ms of its own time."""

    milliseconds: float = 0.0
    calls: int = 0
    waited: float = 0.0

    def work(self) -> None:
        self.calls += 1
        self.milliseconds += 2


@dataclass
class Mark:
    gpu: Gpu
    at: float = -1.0

    def record(self) -> None:
        self.at = self.gpu.milliseconds

    def synchronize(self) -> None:
        self.gpu.waited = self.at

    def elapsed_time(self, end: "Mark", /) -> float:
        return end.at - self.at


def test_a_turn_reports_the_gpus_own_time_of_one_call() -> None:
    gpu = Gpu()
    turn = EventTurns(gpu.work, 0.1, lambda: Mark(gpu))
    before = gpu.calls
    assert turn() == pytest.approx(0.002)
    assert gpu.calls - before == 40 + 10, "0.08 s of calls, after a quarter of them to get warm"
    assert gpu.waited == gpu.milliseconds, "it waited for the last one"


@pytest.mark.parametrize("precision", list(peaks_cuda.HOW))
def test_every_product_of_a_gpu_passes_its_own_check(precision: str) -> None:
    """On the CPU, where the same calls compute the same."""
    assert isinstance(cuda_product((32, 48, 16), precision=precision, device="cpu")(), torch.Tensor)


@pytest.mark.gpu
@pytest.mark.skipif(REFUSAL is not None, reason=str(REFUSAL))
def test_a_gpu_has_a_peak_of_every_precision_and_a_bandwidth() -> None:
    found = measure_cuda_peaks(rounds=2, turn_seconds=0.02, shapes=[(2048, 2048, 2048)])
    assert {"fp32", "fp16"} <= set(found)
    assert found["fp16"].operations_per_second.value > found["fp32"].operations_per_second.value
    assert measure_cuda_bandwidth(rounds=2, turn_seconds=0.02).memory.bytes_per_second.value > 1e10
