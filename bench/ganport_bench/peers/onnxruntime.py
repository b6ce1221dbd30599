"""ONNX Runtime's CPU provider on the stock export."""

from importlib.util import find_spec
from typing import Any

from ganport_bench.peers.protocol import TRANSFERS, Kind, Latents, Pixels, Session, Settings
from ganport_bench.peers.source import Source
from ganport_bench.peers.threads import thread_choices

__all__ = ["OnnxRuntime"]

PROVIDER = "CPUExecutionProvider"


class OnnxRuntime:
    """An `InferenceSession` with every graph optimization."""

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

    def open(self, settings: Settings, batch: int) -> Session:  # noqa: ARG002
        """Create the session."""
        import onnxruntime  # type: ignore[import-untyped]

        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.intra_op_num_threads = int(settings["threads"])
        return _Session(onnxruntime.InferenceSession(self._source.stock_export, options, providers=[PROVIDER]))


class _Session:
    precision, transfers, note = "fp32", TRANSFERS["cpu"], ""

    def __init__(self, session: Any) -> None:
        self._session = session

    def run(self, z: Latents) -> Pixels:
        pixels: Pixels = self._session.run(["image"], {"z": z})[0]
        return pixels

    def close(self) -> None:
        self._session = None
