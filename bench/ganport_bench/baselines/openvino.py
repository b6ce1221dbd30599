"""OpenVINO's CPU plugin on the stock export: shapes open or fixed, one request or the batch split over streams."""

from collections.abc import Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
from ganport_runtime.backends.openvino import openvino_core

from ganport_bench.baselines import TRANSFERS, ImageSession, Settings, SystemUnderTest, thread_choices
from ganport_bench.errors import BenchError
from ganport_bench.subject import BaselineSource, Latents, Pixels

HINTS = {"fp32": "f32", "bf16": "bf16"}


def baselines(source: BaselineSource) -> Iterator[SystemUnderTest]:
    """A compiled model, told to compute in float32 or bfloat16."""
    for precision in HINTS:
        opening = partial(_open, source, precision)
        yield SystemUnderTest(f"OpenVINO, {precision}", partial(_refusal, precision), _settings, opening)


class StreamedSession:
    """One request, or as many as there are streams, each with an equal part of the batch."""

    transfers, note = TRANSFERS["cpu"], ""

    def __init__(self, requests: Sequence[Any], precision: str) -> None:
        self._requests, self.precision = requests, precision

    def run(self, z: Latents) -> Pixels:
        """Finished images; see `ImageSession`."""
        parts = np.array_split(z, len(self._requests))
        for request, part in zip(self._requests, parts, strict=True):
            request.start_async({0: part}, share_inputs=True)
        for request in self._requests:
            request.wait()
        pixels = [request.get_output_tensor(0).data for request in self._requests]
        return np.concatenate(pixels) if len(pixels) > 1 else pixels[0].copy()

    def close(self) -> None:
        """Forget the requests."""
        self._requests = ()


def _refusal(precision: str) -> str | None:
    if find_spec("openvino") is None:
        return "openvino is not installed; pip install 'ganport[openvino]'"
    if precision == "bf16" and "BF16" not in openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        return "OpenVINO reports that this processor computes no bfloat16"
    return None


def _settings(batch: int) -> tuple[Settings, ...]:
    """The batch size fixed in the graph or left open; one stream for latency, or one a core for throughput.

    A batch that the streams do not share evenly leaves its size open, since its parts differ.
    """
    streams = [count for count in sorted({1, thread_choices()[0]}) if batch >= count]
    return tuple(
        {"shape": shape, "mode": "latency" if count == 1 else "throughput", "streams": str(count)}
        for shape in ("open", "fixed")
        for count in streams
        if shape == "open" or batch % count == 0
    )


def _open(source: BaselineSource, precision: str, settings: Settings, batch: int) -> ImageSession:
    """Compile for the asked numbers, and see that they are what it computes with."""
    streams, hint = int(settings["streams"]), HINTS[precision]
    model = openvino_core().read_model(source.stock_export)
    if settings["shape"] == "fixed":
        model.reshape([batch // streams, source.latent_dim])
    asked = {"PERFORMANCE_HINT": settings["mode"].upper(), "NUM_STREAMS": streams, "INFERENCE_PRECISION_HINT": hint}
    compiled = openvino_core().compile_model(model, "CPU", asked)
    used = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    if used != hint:
        raise BenchError(f"OpenVINO computes in {used} where {hint} was asked for")
    return StreamedSession([compiled.create_infer_request() for _ in range(streams)], precision)
