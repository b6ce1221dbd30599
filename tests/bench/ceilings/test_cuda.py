from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch
from ganport_bench.ceilings import cuda
from ganport_bench.ceilings.cuda import EventTurns, cuda_product, measure_cuda_bandwidth, measure_cuda_peaks
from ganport_bench.errors import BenchError
from ganport_bench.peers.pytorch_cuda import cuda_refusal

REFUSAL = cuda_refusal()


@dataclass
class Gpu:
    """A GPU whose every piece of work takes 2 ms of its own time."""

    milliseconds: float = 0.0
    calls: int = 0
    waited: list[float] = field(default_factory=list)

    def work(self) -> None:
        self.calls += 1
        self.milliseconds += 2

    def event(self) -> "Mark":
        return Mark(self)


@dataclass
class Mark:
    gpu: Gpu
    at: float = -1.0

    def record(self) -> None:
        self.at = self.gpu.milliseconds

    def synchronize(self) -> None:
        self.gpu.waited.append(self.at)

    def elapsed_time(self, end: "Mark", /) -> float:
        return end.at - self.at


def test_a_turn_reports_the_gpus_own_time_of_one_call() -> None:
    gpu = Gpu()
    turn = EventTurns(gpu.work, 0.1, gpu.event)
    before = gpu.calls
    assert turn() == pytest.approx(0.002)
    assert gpu.calls - before == 40 + 10, "0.08 s of calls, after a quarter of them to get warm"
    assert gpu.waited[-1] == gpu.milliseconds, "it waited for the last one"


@pytest.mark.parametrize("precision", list(cuda.HOW))
def test_every_product_passes_its_own_check(precision: str) -> None:
    """On the CPU, where the same calls compute the same."""
    assert isinstance(cuda_product((32, 48, 16), precision=precision, device="cpu")(), torch.Tensor)


def test_a_product_that_is_wrong_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "mm", lambda _left, _right, out: out.zero_())
    with pytest.raises(BenchError, match="PyTorch, float16 is off by"):
        cuda_product((32, 48, 16), precision="fp16", device="cpu")


@pytest.mark.skipif(REFUSAL is None, reason="there is a GPU here")
@pytest.mark.parametrize("measure", [measure_cuda_peaks, measure_cuda_bandwidth])
def test_where_there_is_no_gpu_it_says_why(measure: Callable[..., object]) -> None:
    with pytest.raises(BenchError, match=r"torch has no CUDA device: torch .* is here, and it"):
        measure(rounds=1, turn_seconds=0.01)


@pytest.mark.gpu
@pytest.mark.skipif(REFUSAL is not None, reason=str(REFUSAL))
def test_a_gpu_has_a_peak_of_every_precision_and_a_bandwidth() -> None:
    peaks = measure_cuda_peaks(rounds=2, turn_seconds=0.02, shapes=[(2048, 2048, 2048)])
    assert {"fp32", "fp16"} <= set(peaks)
    assert peaks["fp16"].operations_per_second.value > peaks["fp32"].operations_per_second.value
    bandwidth = measure_cuda_bandwidth(rounds=2, turn_seconds=0.02)
    assert bandwidth.memory.bytes_per_second.value > 1e10
