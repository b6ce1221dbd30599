"""ONNX Runtime: the CPU provider, and the CUDA provider of onnxruntime-gpu."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from functools import cache
from importlib import import_module
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from numpy.typing import NDArray

from ganport_runtime.backends.options import NUMBER, check_options, thread_choices, thread_count
from ganport_runtime.backends.protocol import Session, Tensor
from ganport_runtime.entries import Engine, Entry
from ganport_runtime.errors import BundleError, ClosedError, PlanError
from ganport_runtime.text import one_line

__all__ = ["BACKEND", "OnnxRuntime", "OnnxRuntimeSession", "tensors"]

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


class OnnxRuntime:
    """The backend `onnxruntime`."""

    devices = ("cuda", "cpu")

    def refusal(self, device: str) -> str | None:
        """Why ONNX Runtime cannot run on `device` here, or None."""
        try:
            library = _library()
        except ImportError as error:
            return str(error)
        if PROVIDERS[device] in library.get_available_providers():
            return _cuda_refusal() if device == "cuda" else None
        extra = {"cuda": "gpu"}.get(device, device)
        return (
            f"the installed onnxruntime {library.__version__} has no {PROVIDERS[device]}; "
            f"pip install 'ganport[{extra}]' in an environment without another onnxruntime"
        )

    def entry_refusal(self, entry: Entry, device: str) -> str | None:  # noqa: ARG002
        """It runs every ONNX graph, and no engine."""
        return f"onnxruntime cannot run an engine of {entry.library}" if isinstance(entry, Engine) else None

    def choices(self, entry: Entry, device: str) -> tuple[Mapping[str, str], ...]:  # noqa: ARG002
        """On the CPU its own number of threads, and fewer; on a GPU without CUDA graphs and with."""
        if device != "cpu":  # graphs come second, as the provider takes them only where all of a graph runs on it
            return ({"cuda_graph": "off"}, {"cuda_graph": "on"})
        return ({}, *({"threads": str(threads)} for threads in thread_choices()))

    def version(self) -> str:
        """The version of the installed onnxruntime."""
        return str(_library().__version__)

    def open(
        self, model: bytes | Path, *, entry: Entry, device: str, threads: int | None, options: Mapping[str, str] = {}
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
            with _exclusive(device):
                unloaded = _load_cuda(library) if device == "cuda" else ""
                session = library.InferenceSession(model, settings, providers=[(provider, told)], enable_fallback=0)
        except Exception as error:  # its exceptions share no base class but this one
            raise _load_error(device, f"onnxruntime {library.__version__}: {one_line(str(error))}{unloaded}") from error
        session.disable_fallback()
        reported = session.get_providers()[0]
        if reported != provider:
            raise PlanError(
                f"onnxruntime reports {reported} where {provider} was asked for: it could not be loaded{unloaded}"
            )
        if device == "cuda":
            from ganport_runtime.backends.onnxruntime_cuda import CudaSession  # not where the CPU runs

            said = {**told, "cuda_graph": "off", **options}
            return CudaSession(library, session, reported, precision=entry.precision, options=said)
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


BACKEND = OnnxRuntime


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


def _exclusive(device: str) -> AbstractContextManager[object]:
    """On a GPU nobody else may use it meanwhile: allocating spoils a CUDA graph that is being recorded."""
    if device != "cuda":
        return nullcontext()
    from ganport_runtime.backends import cuda

    return cuda.LOCK


def _cuda_refusal() -> str | None:
    from ganport_runtime.backends import cuda

    return cuda.refusal()


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


def _load_error(device: str, reason: str) -> Exception:
    """On the CPU nothing but the graph can be at fault; elsewhere the device can."""
    return BundleError(reason) if device == "cpu" else PlanError(reason)


def tensors(items: Sequence[Any]) -> tuple[Tensor, ...]:
    """A session's inputs or outputs as the protocol has them."""
    return tuple(Tensor(item.name, DTYPES.get(item.type, item.type), _shape(item)) for item in items)


def _shape(item: Any) -> tuple[int | None, ...]:
    return tuple(size if isinstance(size, int) else None for size in item.shape)
