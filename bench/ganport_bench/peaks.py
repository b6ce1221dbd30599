"""What this machine's processor does at best: products of large matrices by every library at hand, memory bandwidth.

Of several ways to do the same work the fastest counts. A product is checked once against NumPy before it is timed. A
stream's bytes are those that it asks for, what it reads and what it writes; that a processor may first read what it is
about to overwrite is not counted.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganport_bench.baselines import thread_choices
from ganport_bench.errors import BenchError
from ganport_bench.timing import Estimate, System, interleave, median, stopwatch, turns_of

PAUSE_SECONDS = 0.03  # before a turn, in which other libraries' threads fall asleep
SHAPES = ((1024, 1024, 1024), (2048, 2048, 2048), (1024, 4096, 256))  # larger ones were no faster
SLOW_SECONDS = 0.5  # of one product of the first shape: the processor has no units for it, larger ones take minutes
LARGEST_FACTOR = 8  # of random whole numbers whose products stay exact in bfloat16's sums
SCALE, LARGEST_INT8 = 0.5, 100  # of both factors of an int8 product, and of their values

ARRAYS = 3  # what a stream uses at most
BEYOND = 4  # times the last cache, each array, as STREAM wants it
UNKNOWN_CACHE_ARRAY = 256 * 2**20  # bytes of an array where the last cache is not known
OF_CACHE = 0.25  # of the last cache, what all arrays take that are to lie in it: others use it too
OF_COMPUTER = 1 / 8  # of the computer's memory, what all arrays take at most
CALL_BYTES = 256 * 2**20  # moved by one call at least, or starting threads would be measured

ProductShape = tuple[int, int, int]  # rows of the left factor, what is summed over, columns of the right one
Product = Callable[[], object]
Maker = Callable[[ProductShape], Product]  # raises where the library or the processor cannot


@dataclass(frozen=True)
class Peak:
    """The most operations a second that were measured at one precision."""

    precision: str  # of both factors
    operations_per_second: Estimate  # multiplications and additions together, the median over rounds of the fastest
    how: str  # by what, and the shape
    others: Mapping[str, float]  # the same figure of everything else that was tried
    refused: Mapping[str, str]  # what could not be tried, and why

    def images_per_second(self, multiply_adds: int) -> float:
        """Images a second at the peak, two operations a multiply-add."""
        return self.operations_per_second.value / (2 * multiply_adds)


@dataclass(frozen=True)
class StreamRate:
    """The most bytes a second that were measured in one place."""

    bytes_per_second: Estimate  # read and written together, the median over rounds of the fastest
    how: str  # by what, and how large the arrays were
    others: Mapping[str, float]  # the same figure of everything else that was tried


@dataclass(frozen=True)
class Bandwidth:
    """Of a device's memory, and of its last cache where that is known."""

    memory: StreamRate  # far beyond the last cache
    cache: StreamRate | None = None  # within it
    cache_bytes: int = 0  # how much it holds; 0 where that is not known

    def seconds(self, count: int) -> float:
        """The least that moving so many bytes takes: what the last cache holds may lie there from the call before."""
        slow = self.memory.bytes_per_second.value
        if self.cache is None:
            return count / slow
        held = min(count, self.cache_bytes)
        return held / max(slow, self.cache.bytes_per_second.value) + (count - held) / slow

    def to_json(self) -> dict[str, Any]:
        """The memory's part of the document, with the cache's below `cache`."""
        cache = None if self.cache is None else {"bytes": self.cache_bytes, **asdict(self.cache)}
        return {**asdict(self.memory), "cache": cache}


def fastest(
    turns: Mapping[str, System], work: Mapping[str, int], rounds: int
) -> tuple[Estimate, str, dict[str, float]]:
    """Time several ways in turns: work a second of the fastest, its name, and the medians of the others."""
    seconds = interleave(turns, rounds=rounds, pause=PAUSE_SECONDS)
    rates = {name: work[name] / taken for name, taken in seconds.items()}
    medians = {name: float(np.median(rate)) for name, rate in rates.items()}
    how = max(medians, key=medians.__getitem__)
    return median(rates[how]), how, {name: rate for name, rate in medians.items() if name != how}


def higher_peaks(first: Mapping[str, Peak], second: Mapping[str, Peak]) -> dict[str, Peak]:
    """The higher of two measurements of each precision: other load can only have lowered them."""
    both = {precision: (peak, second[precision]) for precision, peak in first.items() if precision in second}
    return {precision: max(pair, key=lambda peak: peak.operations_per_second.value) for precision, pair in both.items()}


def higher_bandwidth(first: Bandwidth, second: Bandwidth) -> Bandwidth:
    """The higher of two measurements of one device; see `higher_peaks`."""

    def higher(streams: Sequence[StreamRate]) -> StreamRate:
        return max(streams, key=lambda stream: stream.bytes_per_second.value)

    caches = [one.cache for one in (first, second) if one.cache is not None]
    return Bandwidth(higher([first.memory, second.memory]), higher(caches) if caches else None, first.cache_bytes)


def measure_peaks(
    *,
    rounds: int,
    turn_seconds: float,
    shapes: Sequence[ProductShape] = SHAPES,
    makers: Mapping[str, Mapping[str, Maker]] | None = None,
    timed: Callable[[Product, float], System] = turns_of,
) -> dict[str, Peak]:
    """The peak of every precision for which at least one product can be made."""
    found = dict[str, Peak]()
    for precision, ways in (MAKERS if makers is None else makers).items():
        made, refused = _make(ways, shapes)
        if made:
            turns = {name: timed(product, turn_seconds) for name, (product, _) in made.items()}
            operations = {name: 2 * prod(shape) for name, (_, shape) in made.items()}
            found[precision] = Peak(precision, *fastest(turns, operations, rounds), refused)
    return found


def _make(
    makers: Mapping[str, Maker], shapes: Sequence[ProductShape]
) -> tuple[dict[str, tuple[Product, ProductShape]], dict[str, str]]:
    made: dict[str, tuple[Product, ProductShape]] = {}
    refused: dict[str, str] = {}
    for how, make in makers.items():
        try:
            first = make(shapes[0])
            if (seconds := stopwatch(first)()) > SLOW_SECONDS:
                raise BenchError(
                    f"a product of {'x'.join(map(str, shapes[0]))} takes {seconds:.1f} s, too long to count"
                )
            products = [first, *map(make, shapes[1:])]
            names = [f"{how}, {'x'.join(map(str, shape))}" for shape in shapes]
            made |= dict(zip(names, zip(products, shapes, strict=True), strict=True))
        except Exception as error:  # a library that is missing, or whatever it raises where it cannot
            refused[how] = str(error).strip().partition("\n")[0] or type(error).__name__
    return made, refused


def factors(shape: ProductShape) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Two matrices of small whole numbers, always the same, float32 [rows, depth] and [depth, columns]."""
    random = np.random.default_rng(0)
    rows, depth, columns = shape
    left, right = (
        random.integers(-LARGEST_FACTOR, LARGEST_FACTOR + 1, one) for one in ((rows, depth), (depth, columns))
    )
    return left.astype(np.float32), right.astype(np.float32)


def check_product(what: str, found: NDArray[Any], wanted: NDArray[Any], largest: float) -> None:
    """See that a product is right. Raises BenchError: it is off by more than `largest`."""
    error = float(np.abs(found.astype(np.float64) - wanted).max())
    if error > largest:
        raise BenchError(f"{what} is off by {error:.2g}, {largest:.2g} is allowed: no product to count")


def product_and_tolerance(of: tuple[NDArray[Any], NDArray[Any]]) -> tuple[NDArray[Any], float]:
    """The product of two factors, and how far off it a product in bfloat16 may be."""
    wanted = np.matmul(*of)
    return wanted, 2**-7 * float(np.abs(wanted).max())


def _by_numpy(shape: ProductShape) -> Product:
    left, right = factors(shape)
    out = np.empty((len(left), right.shape[1]), np.float32)
    return lambda: np.matmul(left, right, out=out)


def _by_pytorch(shape: ProductShape, dtype: str) -> Product:
    import torch

    threads = thread_choices()[0]
    left, right = (torch.from_numpy(factor).to(getattr(torch, dtype)) for factor in factors(shape))
    out = torch.empty(len(left), right.shape[1], dtype=left.dtype)

    def multiply() -> None:
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        torch.mm(left, right, out=out)

    multiply()
    check_product(f"PyTorch {dtype}", out.to(torch.float32).numpy(), *product_and_tolerance(factors(shape)))
    return multiply


def _by_openvino(shape: ProductShape, hint: str) -> Product:
    from ganport_runtime.backends.openvino import import_openvino

    openvino = import_openvino()
    left, right = factors(shape)
    parameter = openvino.opset13.parameter(list(left.shape), np.float32)
    product = openvino.opset13.matmul(parameter, openvino.opset13.constant(right), False, False)
    request = _openvino_request(openvino.Model([product], [parameter]), left, hint)
    check_product(f"OpenVINO {hint}", request.get_output_tensor(0).data, *product_and_tolerance((left, right)))
    return lambda: request.infer()


def _int8_by_openvino(shape: ProductShape, left: str) -> Product:
    from ganport_runtime.backends.openvino import openvino_core

    model, factor, wanted = int8_product(shape, left)
    request = _openvino_request(openvino_core().read_model(model), factor)
    check_product("OpenVINO int8", request.get_output_tensor(0).data, wanted, 1)
    return lambda: request.infer()


def _openvino_request(model: Any, left: NDArray[Any], hint: str | None = None) -> Any:
    """A request whose left factor is in place and which has run once."""
    from ganport_runtime.backends.openvino import openvino_core

    asked = {"PERFORMANCE_HINT": "LATENCY"} | ({} if hint is None else {"INFERENCE_PRECISION_HINT": hint})
    compiled = openvino_core().compile_model(model, "CPU", asked)
    used = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    if hint not in (None, used):
        raise BenchError(f"OpenVINO computes in {used} where {hint} was asked for")
    request = compiled.create_infer_request()
    request.get_input_tensor(0).data[:] = left
    request.infer()
    return request


def _int8_by_onnxruntime(shape: ProductShape, left: str) -> Product:
    import onnxruntime  # type: ignore[import-untyped]

    model, factor, wanted = int8_product(shape, left)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    check_product("ONNX Runtime int8", session.run(None, {"left": factor})[0], wanted, 1)
    return lambda: session.run(None, {"left": factor})


def int8_product(shape: ProductShape, left: str) -> tuple[bytes, NDArray[Any], NDArray[Any]]:
    """An ONNX graph of an int8 or uint8 matrix times a constant int8 one, in explicit Q/DQ form.

    The result is rescaled to the type of `left` (`int8` or `uint8`), as layers follow each other in an int8 network.
    """
    from onnx import numpy_helper, parser

    random = np.random.default_rng(1)
    rows, depth, columns = shape
    zero, limits = (128, np.iinfo(np.uint8)) if left == "uint8" else (0, np.iinfo(np.int8))
    factor = random.integers(0 if zero else -LARGEST_INT8, LARGEST_INT8 + 1, (rows, depth)).astype(left)
    weight = random.integers(-LARGEST_INT8, LARGEST_INT8 + 1, (depth, columns)).astype(np.int8)
    exact = (factor.astype(np.float32) @ weight.astype(np.float32)).astype(np.float64) * SCALE**2
    scale = np.float32(np.abs(exact).max() / 127)
    constants = {
        "weight": weight,
        "scale": np.float32(SCALE),
        "zero": np.zeros((), left),
        "weight_zero": np.int8(0),
        "product_scale": scale,
        "product_zero": np.array(zero, left),
    }
    model = parser.parse_model(f"""<ir_version: 10, opset_import: ["": 18]>
        int8_product ({left}[{rows}, {depth}] left) => ({left}[{rows}, {columns}] product) {{
            left_values = DequantizeLinear(left, scale, zero)
            weight_values = DequantizeLinear(weight, scale, weight_zero)
            values = MatMul(left_values, weight_values)
            product = QuantizeLinear(values, product_scale, product_zero)
        }}""")
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(one), name) for name, one in constants.items())
    wanted = np.clip(np.round(exact / scale) + zero, limits.min, limits.max).astype(np.int32)
    data: bytes = model.SerializeToString()
    return data, factor, wanted


MAKERS: Mapping[str, Mapping[str, Maker]] = {
    "fp32": {
        "NumPy's BLAS, float32": _by_numpy,
        "PyTorch, float32": partial(_by_pytorch, dtype="float32"),
        "OpenVINO, float32": partial(_by_openvino, hint="f32"),
    },
    "bf16": {
        "PyTorch, bfloat16": partial(_by_pytorch, dtype="bfloat16"),
        "OpenVINO, bfloat16": partial(_by_openvino, hint="bf16"),
    },
    "int8": {
        "ONNX Runtime, u8 by s8, u8 out": partial(_int8_by_onnxruntime, left="uint8"),
        "OpenVINO, u8 by s8, u8 out": partial(_int8_by_openvino, left="uint8"),
        "OpenVINO, s8 by s8, s8 out": partial(_int8_by_openvino, left="int8"),
    },
}


StreamArrays = Sequence[NDArray[np.float64]]
Kernel = Callable[[StreamArrays], object]
KERNELS: Mapping[str, tuple[int, Kernel]] = {  # how many arrays it streams through, once each
    "NumPy's maximum": (1, lambda arrays: np.maximum.reduce(arrays[0])),
    "NumPy's copyto": (2, lambda arrays: np.copyto(arrays[0], arrays[1])),
    "NumPy's add": (3, lambda arrays: np.add(arrays[1], arrays[2], out=arrays[0])),
}


def measure_bandwidth(*, rounds: int, turn_seconds: float, cache_bytes: int | None = None) -> Bandwidth:
    """The bandwidth of this computer's memory and of its last cache, on all cores."""
    known = last_cache_bytes() if cache_bytes is None else cache_bytes
    with ThreadPoolExecutor(thread_choices()[0], "bandwidth") as pool:
        memory = _measure_streams(pool, array_bytes_beyond(known), rounds, turn_seconds)
        if not known:
            return Bandwidth(memory)
        return Bandwidth(memory, _measure_streams(pool, int(OF_CACHE * known / ARRAYS), rounds, turn_seconds), known)


def array_bytes_beyond(cache_bytes: int | None) -> int:
    """The bytes of an array that no cache holds, or as many as the computer can spare."""
    from ganport_runtime.machine import memory_bytes

    wanted, memory = BEYOND * cache_bytes if cache_bytes else UNKNOWN_CACHE_ARRAY, memory_bytes()
    return wanted if memory is None else min(wanted, int(OF_COMPUTER * memory / ARRAYS))


def _measure_streams(pool: ThreadPoolExecutor, array_bytes: int, rounds: int, turn_seconds: float) -> StreamRate:
    threads = thread_choices()[0]
    length = max(1, array_bytes // threads // np.dtype(np.float64).itemsize)
    parts = list(pool.map(lambda _: [np.full(length, 1.0) for _ in range(ARRAYS)], range(threads)))
    size = sum(part[0].nbytes for part in parts)
    turns, moved = dict[str, System](), dict[str, int]()
    for kind, (count, kernel) in KERNELS.items():
        passes = max(1, CALL_BYTES // (count * size))
        name = f"{kind}, {threads} threads, arrays of {size / 2**20:.3g} MiB"

        def stream(kernel: Kernel = kernel, passes: int = passes) -> None:
            list(pool.map(lambda part: [kernel(part) for _ in range(passes)], parts))

        turns[name], moved[name] = turns_of(stream, turn_seconds), passes * count * size
    return StreamRate(*fastest(turns, moved, rounds))


def last_cache_bytes(root: Path = Path("/")) -> int | None:
    """All last-level caches of the cores that this process may use, each once however many cores share it."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    last = {_last_cache(root / f"sys/devices/system/cpu/cpu{core}/cache") for core in os.sched_getaffinity(0)}
    return sum(size for size, _ in last) or None


def _last_cache(folder: Path) -> tuple[int, str]:
    """The size of a core's last cache for data, 0 where Linux does not tell, and the cores that share it."""

    def text(path: Path) -> str:
        return path.read_text("utf-8").strip() if path.exists() else ""

    data = [index for index in folder.glob("index*") if text(index / "type") in ("Data", "Unified")]
    last = max(data, key=lambda index: int(text(index / "level") or 0), default=folder)
    size = text(last / "size")
    units = {"K": 2**10, "M": 2**20, "G": 2**30}
    return int(size[:-1]) * units[size[-1]] if size else 0, text(last / "shared_cpu_list")
