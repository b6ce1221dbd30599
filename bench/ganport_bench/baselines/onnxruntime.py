"""ONNX Runtime's CPU provider on the stock export, with every graph optimization."""

from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from typing import Any

from ganport_bench.baselines import TRANSFERS, ImageSession, Settings, SystemUnderTest, thread_choices
from ganport_bench.subject import BaselineSource, Latents, Pixels


def baselines(source: BaselineSource) -> Iterator[SystemUnderTest]:
    """One, with every thread count."""
    yield SystemUnderTest("ONNX Runtime", _refusal, _settings, partial(_open, source))


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


def _refusal() -> str | None:
    return None if find_spec("onnxruntime") else "onnxruntime is not installed; pip install 'ganport[cpu]'"


def _settings(_batch: int) -> tuple[Settings, ...]:
    return tuple({"threads": str(count)} for count in thread_choices())


def _open(source: BaselineSource, settings: Settings, _batch: int) -> ImageSession:
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = int(settings["threads"])
    session = onnxruntime.InferenceSession(source.stock_export, options, providers=["CPUExecutionProvider"])
    return PlainOrtSession(session, "fp32", "cpu")
