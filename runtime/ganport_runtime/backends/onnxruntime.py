"""ONNX Runtime: the CPU provider, and the CUDA provider of onnxruntime-gpu."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from numpy.typing import NDArray

from ganport_runtime.backends.protocol import Tensor
from ganport_runtime.errors import BundleError, PlanError
from ganport_runtime.text import one_line

__all__ = ["BACKEND", "OnnxRuntime", "OnnxRuntimeSession"]

PROVIDERS = {"cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}

CUDA_OPTIONS = {
    "use_tf32": "0",  # fp32 means float32: the parity figures of a bundle are not TF32's
    "cudnn_conv_algo_search": "EXHAUSTIVE",  # once a bucket, since batches are padded to buckets
    "cudnn_conv_use_max_workspace": "1",
    "arena_extend_strategy": "kSameAsRequested",  # the sizes of the buckets, not powers of two above them
    "do_copy_in_default_stream": "1",
}
OPTIONS: dict[str, dict[str, str]] = {"cuda": CUDA_OPTIONS, "cpu": {}}

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
            return None
        extra = {"cuda": "gpu"}.get(device, device)
        return (
            f"the installed onnxruntime {library.__version__} has no {PROVIDERS[device]}; "
            f"pip install 'ganport[{extra}]' in an environment without another onnxruntime"
        )

    def version(self) -> str:
        """The version of the installed onnxruntime."""
        return str(_library().__version__)

    def open(self, model: bytes | Path, *, device: str, threads: int | None) -> "OnnxRuntimeSession":
        """Create an `InferenceSession` that runs on the asked provider or not at all."""
        library = _library()
        options = library.SessionOptions()
        options.add_session_config_entry("session.intra_op.spin_duration_us", SPIN_MICROSECONDS)
        if threads is not None:
            options.intra_op_num_threads = threads
        provider = PROVIDERS[device]
        try:
            # With its fallback on, a provider that fails is replaced by the CPU's, with a word on stdout.
            session = library.InferenceSession(
                model, options, providers=[(provider, OPTIONS[device])], enable_fallback=0
            )
        except Exception as error:  # its exceptions share no base class but this one
            raise _load_error(device, f"onnxruntime {library.__version__}: {one_line(str(error))}") from error
        session.disable_fallback()
        reported = session.get_providers()[0]
        if reported != provider:
            raise PlanError(f"onnxruntime reports {reported} where {provider} was asked for: it could not be loaded")
        return OnnxRuntimeSession(session, reported, device)


class OnnxRuntimeSession:
    """An `InferenceSession` behind the protocol; ONNX Runtime allows concurrent runs."""

    def __init__(self, session: Any, provider: str, device: str) -> None:
        self.provider = provider
        self.options: Mapping[str, str] = OPTIONS[device]
        self.pads_to_bucket = device == "cuda"  # cuDNN searches anew for every batch size it has not seen
        self.inputs = tuple(_tensor(item) for item in session.get_inputs())
        self.outputs = tuple(_tensor(item) for item in session.get_outputs())
        self._run = session.run

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Compute the named outputs alone; several threads may call it at once."""
        try:
            result: list[NDArray[Any]] = self._run(outputs, inputs)
        except Exception as error:
            raise PlanError(f"onnxruntime failed on {self.provider}: {one_line(str(error))}") from error
        return result


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


def _load_error(device: str, reason: str) -> Exception:
    """On the CPU nothing but the graph can be at fault; elsewhere the device can."""
    return BundleError(reason) if device == "cpu" else PlanError(reason)


def _tensor(item: Any) -> Tensor:
    shape = tuple(size if isinstance(size, int) else None for size in item.shape)
    return Tensor(item.name, DTYPES.get(item.type, item.type), shape)
