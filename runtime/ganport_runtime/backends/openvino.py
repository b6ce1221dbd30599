"""OpenVINO on the CPU: a compiled model for each bucket, and a batch split over parallel streams where asked."""

import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from threading import Lock
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganport_runtime.backends.protocol import (
    NUMBER,
    Backend,
    Package,
    Tensor,
    check_options,
    private_file,
    thread_choices,
    thread_count,
)
from ganport_runtime.batches import BUCKETS, parts
from ganport_runtime.errors import BundleError, ClosedError, PlanError, one_line
from ganport_runtime.manifest import Entry

TELEMETRY = "openvino_telemetry"
_IMPORTING = Lock()
PROPERTIES = {"threads": "INFERENCE_NUM_THREADS", "streams": "NUM_STREAMS", "mode": "PERFORMANCE_HINT"}
HINT = "INFERENCE_PRECISION_HINT"
DTYPES = {"f32": "float32", "u8": "uint8"}
# The layers that do the arithmetic, by OpenVINO's own names, and its words for what they calculate with.
HEAVY = ("Convolution", "Deconvolution", "FullyConnected", "MatMul")
EXECUTED = {"f32": "fp32", "bf16": "bf16", "f16": "fp16", "u8": "int8", "i8": "int8"}
COARSEST_FIRST = ("int8", "bf16", "fp16", "fp32")
OPTIONS = {
    "threads": NUMBER,  # CPU threads in all
    "streams": NUMBER,  # over which a batch is split
    "mode": ("latency", "throughput"),  # what the library chooses the rest for
    "precision_hint": ("f32", "bf16"),  # what float layers compute in
    "shape": ("static", "dynamic"),  # whether there is a compiled model for each bucket beside the one for any batch
}
DEFAULTS = {"precision_hint": "f32", "shape": "static"}
DIVIDING = ("streams", "mode")  # the options that bring streams
EACH = 8  # images of a batch for each stream; with fewer all threads together are faster, for one image by twice
ANY = 0  # the batch size of the model that takes any


def import_openvino() -> ModuleType:
    """The module, imported without its telemetry unless something else has imported it before; else ImportError."""
    with _IMPORTING:
        found = sys.modules.get("openvino")
        if found is not None:
            return found
        kept = sys.modules.get(TELEMETRY)
        sys.modules[TELEMETRY] = None  # type: ignore[assignment]  # makes its import an ImportError
        try:
            return import_module("openvino")
        finally:
            if kept is None:
                del sys.modules[TELEMETRY]
            else:
                sys.modules[TELEMETRY] = kept


@cache
def openvino_core() -> Any:
    """The one entry of this process to the library, which its threads share.

    Never make a second one: the CPU plugin of each gives the calling thread a stack for signals, and the one before
    back when it ends. Of two that end in the order in which they were made the second gives back memory that is gone
    (OpenVINO 2026.4), and the thread's next signal, such as Ctrl-C, ends the process without a word.
    """
    return import_openvino().Core()


@dataclass(frozen=True)
class CompiledModel:
    """A graph compiled for one batch size or any."""

    model: Any
    provider: str  # the devices that execute it, as the library reports them
    precision: str  # the coarsest that a layer computes with, or that the graph stores
    streams: int  # how many requests run side by side

    def create_request(self) -> Any:
        """A new infer request."""
        return self.model.create_infer_request()


def signature(graph: Any) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The inputs and outputs of a graph."""
    return tuple(_tensor(item) for item in graph.inputs), tuple(_tensor(item) for item in graph.outputs)


def compile_model(core: Any, graph: Any, size: int, entry: Entry, options: Mapping[str, str]) -> CompiledModel:
    """Compile a graph on the CPU for batches of `size`, 0 for any; PlanError where an option took no effect."""
    asked = {PROPERTIES[key]: value.upper() for key, value in options.items() if key in PROPERTIES}
    asked = {"PERFORMANCE_HINT": "LATENCY", **asked}
    hint = options["precision_hint"]  # always said: left open it is bf16 wherever the processor has that
    try:
        sized = graph.clone()
        if size:
            sized.reshape({item.get_any_name(): [size, *item.partial_shape[1:]] for item in sized.inputs})
        model = core.compile_model(sized, "CPU", {**asked, HINT: hint})
    except Exception as error:
        raise PlanError(f"openvino cannot compile {entry.id}: {one_line(str(error))}") from error
    _check_properties(model, asked, hint)
    provider = ", ".join(model.get_property("EXECUTION_DEVICES"))
    return CompiledModel(model, provider, _precision(model, entry, hint), int(model.get_property("NUM_STREAMS")))


def _check_properties(model: Any, asked: Mapping[str, str], hint: str) -> None:
    found = model.get_property(HINT).get_type_name()
    if found != hint:
        raise PlanError(f"openvino computes in {found} where {hint} was asked for: this processor has no fast {hint}")
    for key, value in asked.items():
        found = str(model.get_property(key))
        if found.rpartition(".")[2] != value:
            raise PlanError(f"openvino set {key} to {found} where {value} was asked for")


def _precision(model: Any, entry: Entry, hint: str) -> str:
    """The coarsest precision of the layers that it really executes; PlanError where that is not what was asked for."""
    executed = _executed(model)
    layers = ", ".join(sorted(executed))
    if ("int8" in executed) != (entry.precision == "int8"):
        raise PlanError(f"openvino executes the {entry.precision} graph {entry.id} in {layers}")
    if hint == "f32" and not executed <= {"fp32", "int8"}:
        raise PlanError(f"openvino executes {entry.id} in {layers} where f32 was asked for")
    stored = {entry.precision} if entry.precision in COARSEST_FIRST else set()
    asked = {"bf16"} if hint == "bf16" else set()
    return next(name for name in COARSEST_FIRST if name in executed | stored | asked)


def _executed(model: Any) -> set[str]:
    info = [node.get_rt_info() for node in model.get_runtime_model().get_ordered_ops()]
    words = {node["runtimePrecision"].value for node in info if node["layerType"].value in HEAVY}
    return {EXECUTED.get(word, word) for word in words}


def _tensor(item: Any) -> Tensor:
    dtype = item.element_type.get_type_name()
    shape = tuple(size.get_length() if size.is_static else None for size in item.partial_shape)
    return Tensor(item.get_any_name(), DTYPES.get(dtype, dtype), shape)


Way = tuple[int, bool]  # batch size, and whether it is one of several parts that run side by side


class OpenVinoBackend(Backend):
    """OpenVINO on the CPU."""

    name = "openvino"
    devices = ("cpu",)
    packages = (
        Package(
            "openvino",
            "openvino",
            "openvino",
            "cpu",
            "no second engine for the CPU, with int8 and bf16 graphs often the fastest one",
        ),
    )

    def refusal(self, device: str) -> str | None:  # noqa: ARG002
        """Why OpenVINO cannot run here, or None; to import it takes a quarter of a second, which is left for later."""
        return None if find_spec("openvino") else f"openvino is not installed; {self.packages[0].remedy}"

    def settings_to_try(self, entry: Entry, device: str) -> tuple[Mapping[str, str], ...]:  # noqa: ARG002
        """Both precisions of the float layers, each as it is, for throughput, with fewer threads, for any batch."""
        hints = ("f32",) if entry.precision == "fp16" else ("f32", "bf16")  # half's weights lose more bits in bf16
        threads = ({"threads": str(count)} for count in thread_choices())
        ways: tuple[dict[str, str], ...] = ({}, {"mode": "throughput"}, *threads, {"shape": "dynamic"})
        return tuple({"precision_hint": hint, **way} for way in ways for hint in hints)

    def precision_of(self, entry: Entry, options: Mapping[str, str]) -> str:
        """bf16 where float layers are to compute in it; an int8 graph's few float layers change nothing."""
        is_float = entry.precision in ("fp32", "fp16")
        return "bf16" if is_float and options.get("precision_hint") == "bf16" else entry.precision

    def version(self) -> str:
        """The version of the installed openvino."""
        return str(import_openvino().__version__).split("-")[0]

    def open(
        self, model: bytes, *, entry: Entry, device: str, threads: int | None, options: Mapping[str, str] = {}
    ) -> "OpenVinoSession":
        """Read a graph and compile it for single images, which shows whether every option took effect."""
        check_options("openvino", options, OPTIONS)
        del device  # the CPU is the only one
        count = thread_count(threads, options)
        asked = {**DEFAULTS, **options}
        if count is not None:
            asked["threads"] = str(count)
        core = openvino_core()
        with private_file(model) as file:
            try:
                graph = core.read_model(str(file))
            except Exception as error:  # every failure of the library is a RuntimeError of its own text
                raise BundleError(f"openvino {self.version()}: {one_line(str(error))}") from error
        return OpenVinoSession(core, graph, entry, asked)


class OpenVinoSession:
    """A graph, compiled for each bucket and each share of one when its size first comes, and for any other batch.

    With the batch size fixed OpenVINO runs generators of 64x64 pixels 1.1 to 1.5 times as fast as with it left open.

    Where it has streams, a batch is split evenly over them, each with threads of its own: none waits at the end of each
    layer for another that had to share its core. A batch that is too small for it runs undivided on all threads.
    """

    def __init__(self, core: Any, graph: Any, entry: Entry, options: Mapping[str, str]) -> None:
        self.options = options
        self.inputs, self.outputs = signature(graph)
        self._core, self._graph, self._entry = core, graph, entry
        self._compiling = Lock()
        self.is_sized = options["shape"] == "static"
        self.pads_to_bucket = self.is_sized  # so that no batch runs by another model, whose last bits differ
        self._fixed = frozenset(BUCKETS) if self.is_sized else frozenset()
        self._models: dict[Way, CompiledModel] = {}
        self._idle: dict[Way, deque[Any]] = {}  # infer requests; no two threads may share one
        self._is_closed = False
        first = self._model((1 if self._fixed else ANY, True))
        self.provider, self.precision, self._streams = first.provider, first.precision, first.streams
        if self.is_sized:
            self._fixed |= {part.stop - part.start for bucket in BUCKETS for part in shares(bucket, self._streams)}

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Compute the outputs, a large batch split evenly over the streams; several threads may call it at once."""
        (batch,) = inputs.values()
        count = len(batch)
        indices = [self._index(name) for name in outputs]
        results = [_empty(count, self.outputs[index]) for index in indices]
        slices = shares(count, self._streams)
        try:
            self._run_parts(batch, slices, indices, results, len(slices) > 1 or self._streams == 1)
        except (ClosedError, PlanError):
            raise
        except Exception as error:
            raise PlanError(f"openvino failed on {self.provider}: {one_line(str(error))}") from error
        return results

    def close(self) -> None:
        """Let go of every compiled model; runs under way hold on to theirs until they are done."""
        with self._compiling:
            self._is_closed = True
            self._models, self._idle, self._graph = {}, {}, None

    def _run_parts(
        self,
        batch: NDArray[Any],
        slices: Sequence[slice],
        indices: Sequence[int],
        results: Sequence[NDArray[Any]],
        is_split: bool,
    ) -> None:
        with ExitStack() as stack:
            requests = [stack.enter_context(self._request(part.stop - part.start, is_split)) for part in slices]
            for part, request in zip(slices, requests, strict=True):
                tensor = request.get_input_tensor(0)
                tensor.shape = (part.stop - part.start, *batch.shape[1:])
                tensor.data[:] = batch[part]
                request.start_async()
            for request in requests:
                request.wait()
            for part, request in zip(slices, requests, strict=True):
                for index, result in zip(indices, results, strict=True):
                    result[part] = request.get_output_tensor(index).data

    @contextmanager
    def _request(self, size: int, is_split: bool) -> Iterator[Any]:
        """An infer request that no other thread uses meanwhile. After a failure too it is idle before it is reused."""
        key = (size if size in self._fixed else ANY, is_split)
        model = self._model(key)
        idle = self._idle.get(key)
        if idle is None:
            raise ClosedError("this session is closed; open the bundle again")
        try:
            request = idle.pop()
        except IndexError:
            request = model.create_request()
        try:
            yield request
        except BaseException:
            with suppress(Exception):  # the first error is the one to tell
                request.wait()
            raise
        finally:
            idle.append(request)

    def _model(self, way: Way) -> CompiledModel:
        model = self._models.get(way)
        if model is not None:
            return model
        with self._compiling:
            if self._is_closed:
                raise ClosedError("this session is closed; open the bundle again")
            if way not in self._models:
                size, is_split = way
                options = self.options if is_split else _undivided(self.options)
                compiled = compile_model(self._core, self._graph, size, self._entry, options)
                self._idle[way] = deque()
                self._models[way] = compiled
            return self._models[way]

    def _index(self, name: str) -> int:
        return next(index for index, tensor in enumerate(self.outputs) if tensor.name == name)


BACKEND = OpenVinoBackend


def shares(count: int, streams: int) -> list[slice]:
    """A batch split evenly over the streams, 64 images over three as 22, 22 and 20; all of it where it is too small."""
    if count < EACH * streams:
        return [slice(0, count)]
    return list(parts(count, -(-count // streams)))


def _undivided(options: Mapping[str, str]) -> Mapping[str, str]:
    return {name: value for name, value in options.items() if name not in DIVIDING}


def _empty(count: int, tensor: Tensor) -> NDArray[Any]:
    return np.empty((count, *(size for size in tensor.shape if size is not None)), tensor.dtype)
