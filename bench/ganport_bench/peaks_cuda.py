"""A GPU's ceilings by PyTorch: matrix-product peak per precision and memory bandwidth, timed by CUDA's own events."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ganport_bench.baselines.pytorch_cuda import cuda_refusal, set_float32_kind
from ganport_bench.errors import BenchError
from ganport_bench.peaks import (
    ARRAYS,
    BEYOND,
    CALL_BYTES,
    Bandwidth,
    Peak,
    Product,
    ProductShape,
    StreamRate,
    check_product,
    factors,
    fastest,
    measure_peaks,
    product_and_tolerance,
)
from ganport_bench.timing import System

SHAPES = ((4096, 4096, 4096), (8192, 8192, 8192))
TYPES = {"fp32": torch.float32, "tf32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
HOW = {
    "fp32": "PyTorch, float32 without TF32",
    "tf32": "PyTorch, float32 as TF32",
    "fp16": "PyTorch, float16",
    "bf16": "PyTorch, bfloat16",
    "int8": "PyTorch, s8 by s8, s32 out",
}
CHECKED_ROWS = 64  # of a product: the whole of a large one takes a CPU seconds
OF_CACHE = 0.5  # of the last cache, what all arrays take that are to lie in it: nobody else uses a GPU's
OF_GPU = 1 / 8  # of the GPU's memory, what all arrays take at most
ARRAY_BYTES = 512 * 2**20  # of an array far beyond any cache
WARM_CALLS = 4

KERNELS: Mapping[str, tuple[int, Callable[[Sequence[Tensor]], object]]] = {  # how many arrays it streams through
    "PyTorch's copy": (2, lambda arrays: arrays[0].copy_(arrays[1])),
    "PyTorch's triad": (3, lambda arrays: torch.add(arrays[1], arrays[2], alpha=3.0, out=arrays[0])),
}


def _event() -> Any:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


class EventTurns:
    """Turns whose calls are timed by the GPU itself: what starting them takes the processor is not counted."""

    def __init__(self, work: Callable[[], object], seconds: float, event: Callable[[], Any] = _event) -> None:
        self._work, self._event = work, event
        shortest = min(self._timed(1) for _ in range(WARM_CALLS))
        self._calls = max(1, round(0.8 * seconds / shortest))

    def __call__(self) -> float:
        """One turn; the seconds of one call, on average."""
        for _ in range(max(1, self._calls // 4)):
            self._work()
        return self._timed(self._calls)

    def _timed(self, calls: int) -> float:
        begin, end = self._event(), self._event()
        begin.record()
        for _ in range(calls):
            self._work()
        end.record()
        end.synchronize()
        milliseconds: float = begin.elapsed_time(end)
        return milliseconds / 1e3 / calls


def cuda_product(shape: ProductShape, *, precision: str, device: str = "cuda") -> Product:
    """A product of two matrices on a GPU, checked once. Raises BenchError: the product is wrong."""
    left, right = (torch.from_numpy(factor) for factor in factors(shape))
    multiply = _integers(left, right, device) if precision == "int8" else _floats(left, right, precision, device)
    found = multiply()[:CHECKED_ROWS].to("cpu", torch.float32).numpy()
    check_product(HOW[precision], found, *product_and_tolerance((left[:CHECKED_ROWS].numpy(), right.numpy())))
    return multiply


def _floats(left: Tensor, right: Tensor, precision: str, device: str) -> Callable[[], Tensor]:
    first, second = (factor.to(device, TYPES[precision]) for factor in (left, right))
    out = torch.empty(len(first), second.shape[1], dtype=first.dtype, device=device)

    def multiply() -> Tensor:
        set_float32_kind(precision)
        return torch.mm(first, second, out=out)

    return multiply


def _integers(left: Tensor, right: Tensor, device: str) -> Callable[[], Tensor]:
    """Its right factor lies in memory column by column, as the int8 units take it."""
    first, columns = left.to(device, torch.int8), right.T.contiguous().to(device, torch.int8)
    return lambda: torch._int_mm(first, columns.T)


def measure_cuda_peaks(*, rounds: int, turn_seconds: float, shapes: Sequence[ProductShape] = SHAPES) -> dict[str, Peak]:
    """The GPU's peak of every precision that it has; see `measure_peaks`."""
    _check_gpu()
    makers = {precision: {how: partial(cuda_product, precision=precision)} for precision, how in HOW.items()}
    return measure_peaks(rounds=rounds, turn_seconds=turn_seconds, shapes=shapes, makers=makers, timed=EventTurns)


def measure_cuda_bandwidth(*, rounds: int, turn_seconds: float) -> Bandwidth:
    """The bandwidth of the GPU's own memory and of its last cache."""
    _check_gpu()
    gpu = torch.cuda.get_device_properties(0)
    cache = int(getattr(gpu, "L2_cache_size", 0))
    large = min(max(ARRAY_BYTES, BEYOND * cache), int(OF_GPU * gpu.total_memory / ARRAYS))
    memory = _measure_streams(large, rounds, turn_seconds)
    if not cache:
        return Bandwidth(memory)
    return Bandwidth(memory, _measure_streams(int(OF_CACHE * cache / ARRAYS), rounds, turn_seconds), cache)


def _check_gpu() -> None:
    if reason := cuda_refusal():
        raise BenchError(reason)


def _measure_streams(array_bytes: int, rounds: int, turn_seconds: float) -> StreamRate:
    """Streams through arrays of that size, many in one CUDA graph where they are small, or launches would be timed."""
    arrays = [torch.ones(array_bytes // 4, device="cuda") for _ in range(ARRAYS)]
    size = arrays[0].nbytes
    turns, moved = dict[str, System](), dict[str, int]()
    for kind, (count, kernel) in KERNELS.items():
        passes = max(1, CALL_BYTES // (count * size))
        name = f"{kind}, arrays of {size / 2**20:.3g} MiB on the GPU"
        turns[name] = EventTurns(_recorded(partial(kernel, arrays), passes), turn_seconds)
        moved[name] = passes * count * size
    return StreamRate(*fastest(turns, moved, rounds))


def _recorded(work: Callable[[], object], times: int) -> Callable[[], None]:
    work()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(times):
            work()
    return graph.replay
