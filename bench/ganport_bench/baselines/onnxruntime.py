"""ONNX Runtime on the stock export: its CPU provider, and its CUDA provider with I/O binding and without."""

import sys
from contextlib import redirect_stdout
from importlib.util import find_spec
from typing import Any

import numpy as np

from ganport_bench.baselines import TRANSFERS, ImageSession, Kind, Settings, thread_choices
from ganport_bench.errors import BenchError
from ganport_bench.subject import Latents, Pixels, Source

CUDA_PROVIDER = "CUDAExecutionProvider"
INSTALL_GPU = "pip install 'ganport[gpu]' in an environment without another onnxruntime"
ERRORS_ONLY = 3  # of its log: it warns of every node that it leaves to the CPU


class OnnxRuntimeBaseline:
    """An `InferenceSession` on the CPU with every graph optimization."""

    name = "ONNX Runtime"
    kind: Kind = "peer"

    def __init__(self, source: Source) -> None:
        self._source = source

    def refusal(self) -> str | None:
        """Why it cannot run here, or None."""
        return None if find_spec("onnxruntime") else "onnxruntime is not installed; pip install 'ganport[cpu]'"

    def settings(self, batch: int) -> tuple[Settings, ...]:  # noqa: ARG002
        """Thread counts."""
        return tuple({"threads": str(count)} for count in thread_choices())

    def open(self, settings: Settings, batch: int) -> ImageSession:  # noqa: ARG002
        """Create the session."""
        library = _library()
        options = library.SessionOptions()
        options.graph_optimization_level = library.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.intra_op_num_threads = int(settings["threads"])
        session = library.InferenceSession(self._source.stock_export, options, providers=["CPUExecutionProvider"])
        return PlainOrtSession(session, "fp32", "cpu")


class OnnxRuntimeCudaBaseline:
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
            return f"onnxruntime is not installed; {INSTALL_GPU}"
        listed = _library().get_available_providers()
        return None if CUDA_PROVIDER in listed else f"onnxruntime lists no {CUDA_PROVIDER}; {INSTALL_GPU}"

    def settings(self, batch: int) -> tuple[Settings, ...]:  # noqa: ARG002
        """Either layout of convolutions; CUDA graphs with binding alone, as they want addresses that stay."""
        graphs = ("off", "on") if self._binding else ("off",)
        return tuple({"prefer_nhwc": nhwc, "cuda_graph": graph} for nhwc in ("off", "on") for graph in graphs)

    def open(self, settings: Settings, batch: int) -> ImageSession:
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
        asked = {"use_tf32": self._precision == "tf32", "prefer_nhwc": settings["prefer_nhwc"] == "on"}
        asked["enable_cuda_graph"] = settings["cuda_graph"] == "on"
        providers = [(CUDA_PROVIDER, {name: str(int(value)) for name, value in asked.items()})]
        session = library.InferenceSession(self._source.stock_export, options, providers=providers, enable_fallback=0)
        reported = session.get_providers()
        if reported[:1] != [CUDA_PROVIDER]:
            raise BenchError(f"onnxruntime runs on {', '.join(reported)} where {CUDA_PROVIDER} was asked for")
        if self._binding:
            return BoundOrtSession(library, session, batch, self._source.latent_dim, self._precision)
        return PlainOrtSession(session, self._precision, "cuda")


class PlainOrtSession:
    """Arrays in, arrays out: for a GPU ONNX Runtime copies both ways itself."""

    note = ""

    def __init__(self, session: Any, precision: str, device: str) -> None:
        self.precision, self.transfers = precision, TRANSFERS[device]
        self._session = session

    def run(self, z: Latents) -> Pixels:
        """Finished images; see `ImageSession`."""
        pixels: Pixels = self._session.run(["image"], {"z": z})[0]
        return pixels

    def close(self) -> None:
        """Forget the session."""
        self._session = None


class BoundOrtSession:
    """Latents are written to their place on the GPU, pixels read from theirs."""

    transfers, note = TRANSFERS["cuda"], ""

    def __init__(self, library: Any, session: Any, batch: int, latent_dim: int, precision: str) -> None:
        self.precision = precision
        place = library.OrtValue.ortvalue_from_shape_and_type
        self._z = place((batch, latent_dim), np.float32, "cuda", 0)
        self._pixels = place((batch, *session.get_outputs()[0].shape[1:]), np.uint8, "cuda", 0)
        self._session, self._binding = session, session.io_binding()
        self._binding.bind_ortvalue_input("z", self._z)
        self._binding.bind_ortvalue_output("image", self._pixels)

    def run(self, z: Latents) -> Pixels:
        """Finished images; see `ImageSession`."""
        self._z.update_inplace(z)
        self._session.run_with_iobinding(self._binding)
        self._binding.synchronize_outputs()
        pixels: Pixels = self._pixels.numpy()
        return pixels

    def close(self) -> None:
        """Forget the session and its places."""
        self._session = self._binding = self._z = self._pixels = None


def _library() -> Any:
    import onnxruntime  # type: ignore[import-untyped]

    return onnxruntime
