"""ONNX Runtime's CUDA provider on the stock export, with I/O binding and without, with TF32 and without."""

import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from ganport_bench.baselines import TRANSFERS, ImageSession, Settings, SystemUnderTest
from ganport_bench.baselines.onnxruntime import PlainOrtSession
from ganport_bench.errors import BenchError
from ganport_bench.subject import BaselineSource, Latents, Pixels

PROVIDER = "CUDAExecutionProvider"
INSTALL = "pip install 'ganport[gpu]' in an environment without another onnxruntime"
ERRORS_ONLY = 3  # of its log: it warns of every node that it leaves to the CPU


def baselines(source: BaselineSource) -> Iterator[SystemUnderTest]:
    """TF32 is the provider's own default; with binding, latents and pixels have a place that it is told once."""
    for tf32 in ("", ", TF32"):
        for binding in ("", ", I/O binding"):
            opening = partial(_open, source, "tf32" if tf32 else "fp32", bool(binding))
            yield SystemUnderTest(
                f"ONNX Runtime on CUDA{binding}{tf32}", _refusal, partial(_settings, bool(binding)), opening
            )


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


def _refusal() -> str | None:
    """Why it cannot run here, or None; whether the provider can be loaded, opening says."""
    if find_spec("onnxruntime") is None:
        return f"onnxruntime is not installed; {INSTALL}"
    return None if PROVIDER in _library().get_available_providers() else f"onnxruntime lists no {PROVIDER}; {INSTALL}"


def _settings(has_binding: bool, _batch: int) -> tuple[Settings, ...]:
    """Either layout of convolutions; CUDA graphs with binding alone, as they want addresses that stay."""
    graphs = ("off", "on") if has_binding else ("off",)
    return tuple({"prefer_nhwc": nhwc, "cuda_graph": graph} for nhwc in ("off", "on") for graph in graphs)


def _open(source: BaselineSource, precision: str, has_binding: bool, settings: Settings, batch: int) -> ImageSession:
    """Create the session, and see that it is on the GPU: where it cannot, ONNX Runtime takes the CPU unasked."""
    library = _library()
    with redirect_stdout(sys.stderr):  # it prints what it cannot load, and stdout is the document's
        library.preload_dlls()  # CUDA and cuDNN of NVIDIA's wheels
    options = library.SessionOptions()
    options.graph_optimization_level = library.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = ERRORS_ONLY
    asked = {"use_tf32": precision == "tf32", "prefer_nhwc": settings["prefer_nhwc"] == "on"}
    asked["enable_cuda_graph"] = settings["cuda_graph"] == "on"
    providers = [(PROVIDER, {name: str(int(value)) for name, value in asked.items()})]
    session = library.InferenceSession(source.stock_export, options, providers=providers, enable_fallback=0)
    reported = session.get_providers()
    if reported[:1] != [PROVIDER]:
        raise BenchError(f"onnxruntime runs on {', '.join(reported)} where {PROVIDER} was asked for")
    if has_binding:
        return BoundOrtSession(library, session, batch, source.latent_dim, precision)
    return PlainOrtSession(session, precision, "cuda")


def _library() -> Any:
    import onnxruntime  # type: ignore[import-untyped]

    return onnxruntime
