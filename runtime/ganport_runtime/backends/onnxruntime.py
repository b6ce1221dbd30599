"""ONNX Runtime: the CPU provider, and the CUDA provider of onnxruntime-gpu.

On a GPU data goes through buffers that stay where they are, and CUDA graphs where asked for.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, nullcontext, redirect_stdout
from functools import cache
from importlib import import_module
from io import StringIO
from types import ModuleType
from typing import Any, NoReturn

from numpy.typing import NDArray

from ganport_runtime.backends import cuda
from ganport_runtime.backends.cuda import ExecutionContexts
from ganport_runtime.backends.protocol import (
    NUMBER,
    Backend,
    Package,
    Session,
    Tensor,
    check_options,
    thread_choices,
    thread_count,
)
from ganport_runtime.errors import BundleError, ClosedError, PlanError, one_line
from ganport_runtime.manifest import Entry

PROVIDERS = {"cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}

CUDA_OPTIONS = {
    "use_tf32": "0",  # fp32 means float32: the parity figures of a bundle are not TF32's
    "cudnn_conv_algo_search": "EXHAUSTIVE",  # once a bucket, since batches are padded to buckets
    "cudnn_conv_use_max_workspace": "1",
    "arena_extend_strategy": "kSameAsRequested",  # the sizes of the buckets, not powers of two above them
    "do_copy_in_default_stream": "1",
}
OPTIONS: dict[str, dict[str, Sequence[str]]] = {
    "cuda": {"threads": NUMBER, "cuda_graph": ("on", "off")},
    "cpu": {"threads": NUMBER},
}

# Idle worker threads spin for a millisecond, which spans the gaps within a run and between runs in a row. Left alone
# they spin through the whole of the session's creation, on the core that takes the graph's digest meanwhile.
SPIN_MICROSECONDS = "1000"

DTYPES = {"tensor(float)": "float32", "tensor(uint8)": "uint8"}
DEVICE_TYPE = "cuda"
GRAPH_ID = "gpu_graph_id"  # ONNX Runtime records one CUDA graph for each value of this


class OnnxRuntimeBackend(Backend):
    """ONNX Runtime, of either of its two packages."""

    name = "onnxruntime"
    devices = ("cuda", "cpu")
    packages = (
        Package("onnxruntime", "onnxruntime", "cpu", "cpu", "no engine for the CPU, unless openvino is there"),
        Package(
            "onnxruntime-gpu",
            "onnxruntime",
            "gpu",
            "cuda",
            "no ONNX graphs on an NVIDIA GPU; takes the place of onnxruntime, not beside it",
        ),
    )

    def refusal(self, device: str) -> str | None:
        """Why ONNX Runtime cannot run on `device` here, or None."""
        try:
            library = _library()
        except ImportError as error:
            return str(error)
        if PROVIDERS[device] in library.get_available_providers():
            return cuda.refusal() if device == "cuda" else None
        extra = "gpu" if device == "cuda" else "cpu"
        return (
            f"the installed onnxruntime {library.__version__} has no {PROVIDERS[device]}; "
            f"pip install 'ganport[{extra}]' in an environment without another onnxruntime"
        )

    def settings_to_try(self, entry: Entry, device: str) -> tuple[Mapping[str, str], ...]:  # noqa: ARG002
        """On the CPU its own number of threads, and fewer; on a GPU without CUDA graphs and with."""
        if device != "cpu":  # graphs come second, as the provider takes them only where all of a graph runs on it
            return ({"cuda_graph": "off"}, {"cuda_graph": "on"})
        return ({}, *({"threads": str(threads)} for threads in thread_choices()))

    def version(self) -> str:
        """The version of the installed onnxruntime."""
        return str(_library().__version__)

    def open(
        self, model: bytes, *, entry: Entry, device: str, threads: int | None, options: Mapping[str, str] = {}
    ) -> Session:
        """Create an `InferenceSession` that runs on the asked provider or not at all."""
        check_options("onnxruntime", options, OPTIONS[device])
        library = _library()
        settings = library.SessionOptions()
        settings.add_session_config_entry("session.intra_op.spin_duration_us", SPIN_MICROSECONDS)
        count = thread_count(threads, options)
        if count is not None:
            settings.intra_op_num_threads = count
        provider = PROVIDERS[device]
        told = _provider_options(options) if device == "cuda" else {}
        unloaded = ""
        try:
            # With its fallback on, a provider that fails is replaced by the CPU's, with a word on stdout.
            # On a GPU nobody else may use it meanwhile: allocating spoils a CUDA graph that is being recorded.
            with cuda.LOCK if device == "cuda" else nullcontext():
                unloaded = _load_cuda(library) if device == "cuda" else ""
                session = library.InferenceSession(model, settings, providers=[(provider, told)], enable_fallback=0)
        except Exception as error:  # its exceptions share no base class but this one
            # On the CPU nothing but the graph can be at fault; elsewhere the device can.
            kind = BundleError if device == "cpu" else PlanError
            raise kind(f"onnxruntime {library.__version__}: {one_line(str(error))}{unloaded}") from error
        session.disable_fallback()
        reported = session.get_providers()[0]
        if reported != provider:
            raise PlanError(
                f"onnxruntime reports {reported} where {provider} was asked for: it could not be loaded{unloaded}"
            )
        if device == "cuda":
            said = {**told, "cuda_graph": "off", **options}
            return OnnxRuntimeCudaSession(library, session, reported, precision=entry.precision, options=said)
        return OnnxRuntimeSession(session, reported, device, precision=entry.precision, options=options)


class OnnxRuntimeSession:
    """An `InferenceSession` behind the protocol; ONNX Runtime allows concurrent runs."""

    def __init__(
        self, session: Any, provider: str, device: str, *, precision: str = "fp32", options: Mapping[str, str] = {}
    ) -> None:
        self.provider = provider
        self.options = options
        self.precision = precision
        self.is_sized = False  # the arithmetic on the CPU is the same for every batch size
        self.pads_to_bucket = device == "cuda"  # cuDNN searches anew for every batch size it has not seen
        self.inputs, self.outputs = tensors(session.get_inputs()), tensors(session.get_outputs())
        self._run = session.run

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Compute the named outputs alone; several threads may call it at once."""
        try:
            result: list[NDArray[Any]] = self._run(outputs, inputs)
        except ClosedError:
            raise
        except Exception as error:
            raise PlanError(f"onnxruntime failed on {self.provider}: {one_line(str(error))}") from error
        return result

    def close(self) -> None:
        """Let go of the session; runs under way hold on to it until they are done."""
        self._run = _closed


BACKEND = OnnxRuntimeBackend


def _library() -> ModuleType:
    try:
        library = import_module("onnxruntime")
    except ModuleNotFoundError as error:
        if error.name != "onnxruntime":
            raise
        raise ImportError("onnxruntime is not installed; pip install 'ganport[cpu]'") from error
    if not hasattr(library, "InferenceSession"):  # what is left after one of two such packages was uninstalled
        raise ImportError("the installed onnxruntime is broken; uninstall onnxruntime and onnxruntime-gpu, install one")
    return library


def _closed(*_: object) -> NoReturn:
    raise ClosedError("this session is closed; open the bundle again")


@cache
def _load_cuda(library: ModuleType) -> str:
    """Load CUDA and cuDNN from NVIDIA's wheels, which lie where no loader looks; what could not be, for an error.

    Without such wheels the provider still finds CUDA where the system has it, so that nothing here is an error yet.
    """
    load = getattr(library, "preload_dlls", None)
    if load is None:  # before onnxruntime 1.21
        return ""
    printed = StringIO()
    with redirect_stdout(printed):  # its only way to tell
        load()
    text = one_line(printed.getvalue())
    return f"; {text}" if text else ""


def _provider_options(options: Mapping[str, str]) -> dict[str, str]:
    return {**CUDA_OPTIONS, **({"enable_cuda_graph": "1"} if options.get("cuda_graph") == "on" else {})}


def tensors(items: Sequence[Any]) -> tuple[Tensor, ...]:
    """A session's inputs or outputs as the protocol has them."""
    return tuple(Tensor(item.name, DTYPES.get(item.type, item.type), _shape(item)) for item in items)


def _shape(item: Any) -> tuple[int | None, ...]:
    return tuple(size if isinstance(size, int) else None for size in item.shape)


class OnnxRuntimeCudaSession:
    """An `InferenceSession` on the CUDA provider, behind the protocol; batches wait for each other.

    ONNX Runtime's own runs may overlap, but not where they replay CUDA graphs, nor while one is recorded.
    """

    is_sized = True  # a graph for each, or an algorithm
    pads_to_bucket = True  # cuDNN searches anew for every batch size it has not seen

    def __init__(
        self, library: Any, session: Any, provider: str, *, precision: str, options: Mapping[str, str]
    ) -> None:
        self.provider, self.precision = provider, precision
        self.options = options
        self.inputs, self.outputs = tensors(session.get_inputs()), tensors(session.get_outputs())
        self._library, self._session = library, session
        self._contexts: ExecutionContexts[BoundBuffers] = ExecutionContexts()
        self._graph_ids = 0

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Compute the named outputs alone, of a batch that fills a bucket."""
        batch = len(next(iter(inputs.values())))
        names = tuple(outputs)
        with self._contexts.using((batch, names), lambda stack: self._new_context(batch, names, stack)) as context:
            try:
                return context.run(inputs)
            except PlanError:
                raise
            except Exception as error:  # its exceptions share no base class but this one
                raise PlanError(f"onnxruntime failed on {self.provider}: {one_line(str(error))}") from error

    def close(self) -> None:
        """Give back the buffers, then the session."""
        self._contexts.close()
        self._session = None

    def _new_context(self, batch: int, names: tuple[str, ...], stack: ExitStack) -> "BoundBuffers":
        how = self._library.RunOptions()
        if self.options["cuda_graph"] == "on":
            self._graph_ids += 1  # shapes and addresses of a graph are a context's own
            how.add_run_config_entry(GRAPH_ID, str(self._graph_ids))
        wanted = [tensor for name in names for tensor in self.outputs if tensor.name == name]
        return BoundBuffers(self._session, how, batch, self.inputs, wanted, stack)


class BoundBuffers:
    """The buffers of one batch size and one choice of outputs, bound to the session once."""

    def __init__(
        self, session: Any, how: Any, batch: int, inputs: Sequence[Tensor], outputs: Sequence[Tensor], stack: ExitStack
    ) -> None:
        self._run, self._how = session.run_with_iobinding, how
        self._stream = cuda.CudaStream(stack)
        self._inputs = {tensor.name: _buffer(tensor, batch, stack) for tensor in inputs}
        self._outputs = {tensor.name: _buffer(tensor, batch, stack) for tensor in outputs}
        self._binding = session.io_binding()
        for bind, buffers in ((self._binding.bind_input, self._inputs), (self._binding.bind_output, self._outputs)):
            for name, buffer in buffers.items():
                bind(name, DEVICE_TYPE, cuda.DEVICE, buffer.host.dtype.type, buffer.host.shape, buffer.device)

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Run one batch. The provider has streams of its own, so each step is waited for before the next."""
        for name, array in inputs.items():
            self._inputs[name].host[:] = array
            self._inputs[name].upload(self._stream)
        self._stream.synchronize()
        self._run(self._binding, self._how)
        self._binding.synchronize_outputs()
        for buffer in self._outputs.values():
            buffer.download(self._stream)
        self._stream.synchronize()
        return [buffer.host.copy() for buffer in self._outputs.values()]


def _buffer(tensor: Tensor, batch: int, stack: ExitStack) -> cuda.Buffer:
    return cuda.Buffer(tuple(batch if size is None else size for size in tensor.shape), tensor.dtype, stack)
