"""ONNX Runtime's CUDA provider on the stock export, with I/O binding and without."""

import sys
from contextlib import redirect_stdout
from importlib.util import find_spec
from typing import Any

import numpy as np

from ganport_bench.errors import BenchError
from ganport_bench.peers.protocol import TRANSFERS, Kind, Latents, Pixels, Session, Settings
from ganport_bench.peers.source import Source

__all__ = ["OnnxRuntimeCuda"]

PROVIDER = "CUDAExecutionProvider"
INSTALL = "pip install 'ganport[gpu]' in an environment without another onnxruntime"
ON_OFF = {"off": "0", "on": "1"}
ERRORS_ONLY = 3  # of its log: it warns of every node that it leaves to the CPU


class OnnxRuntimeCuda:
    """An `InferenceSession` on the GPU.

    Args:
        source: the network.
        precision: `fp32`, or `tf32`, which is the provider's own default.
        binding: whether latents and pixels have a place on the GPU that the session is told once.
    """

    kind: Kind = "peer"

    def __init__(self, source: Source, *, precision: str, binding: bool) -> None:
        parts = ("ONNX Runtime on CUDA", "I/O binding" if binding else "", "TF32" if precision == "tf32" else "")
        self.name = ", ".join(part for part in parts if part)
        self._source, self._precision, self._binding = source, precision, binding

    def refusal(self) -> str | None:
        """Why it cannot run here, or None; whether the provider can be loaded, opening says."""
        if find_spec("onnxruntime") is None:
            return f"onnxruntime is not installed; {INSTALL}"
        listed = _library().get_available_providers()
        return None if PROVIDER in listed else f"onnxruntime lists no {PROVIDER}; {INSTALL}"

    def settings(self, batch: int) -> tuple[Settings, ...]:  # noqa: ARG002
        """Either layout of convolutions; CUDA graphs with binding alone, as they want addresses that stay."""
        graphs = ("off", "on") if self._binding else ("off",)
        return tuple({"prefer_nhwc": nhwc, "cuda_graph": graph} for nhwc in ("off", "on") for graph in graphs)

    def open(self, settings: Settings, batch: int) -> Session:
        """Create the session, and see that it is on the GPU: where it cannot, ONNX Runtime takes the CPU unasked.

        Raises:
            BenchError: the session is not on the CUDA provider.
        """
        library = _library()
        with redirect_stdout(sys.stderr):  # it prints what it cannot load, and stdout is the document's
            library.preload_dlls()  # CUDA and cuDNN of NVIDIA's wheels
        options = library.SessionOptions()
        options.graph_optimization_level = library.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = ERRORS_ONLY
        providers = [(PROVIDER, self._told(settings))]
        session = library.InferenceSession(self._source.stock_export, options, providers=providers, enable_fallback=0)
        reported = session.get_providers()
        if reported[:1] != [PROVIDER]:
            raise BenchError(f"onnxruntime runs on {', '.join(reported)} where {PROVIDER} was asked for")
        if self._binding:
            return _BoundSession(library, session, batch, self._source.latent_dim, self._precision)
        return _Session(session, self._precision)

    def _told(self, settings: Settings) -> dict[str, str]:
        return {
            "use_tf32": ON_OFF["on" if self._precision == "tf32" else "off"],
            "prefer_nhwc": ON_OFF[settings["prefer_nhwc"]],
            "enable_cuda_graph": ON_OFF[settings["cuda_graph"]],
        }


class _Session:
    """Arrays in, arrays out: ONNX Runtime copies both ways itself."""

    transfers, note = TRANSFERS["cuda"], ""

    def __init__(self, session: Any, precision: str) -> None:
        self.precision = precision
        self._session = session

    def run(self, z: Latents) -> Pixels:
        pixels: Pixels = self._session.run(["image"], {"z": z})[0]
        return pixels

    def close(self) -> None:
        self._session = None


class _BoundSession:
    """Latents are written to their place on the GPU, pixels read from theirs."""

    transfers, note = TRANSFERS["cuda"], ""

    def __init__(self, library: Any, session: Any, batch: int, latent_dim: int, precision: str) -> None:
        self.precision = precision
        shape = (batch, *session.get_outputs()[0].shape[1:])
        place = library.OrtValue.ortvalue_from_shape_and_type
        self._z = place((batch, latent_dim), np.float32, "cuda", 0)
        self._pixels = place(shape, np.uint8, "cuda", 0)
        self._session, self._binding = session, session.io_binding()
        self._binding.bind_ortvalue_input("z", self._z)
        self._binding.bind_ortvalue_output("image", self._pixels)

    def run(self, z: Latents) -> Pixels:
        self._z.update_inplace(z)
        self._session.run_with_iobinding(self._binding)
        self._binding.synchronize_outputs()
        pixels: Pixels = self._pixels.numpy()
        return pixels

    def close(self) -> None:
        self._session = self._binding = self._z = self._pixels = None


def _library() -> Any:
    import onnxruntime  # type: ignore[import-untyped]

    return onnxruntime
