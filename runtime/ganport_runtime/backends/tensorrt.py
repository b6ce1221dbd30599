"""TensorRT without a detour: engines of `tensorrt` 10 and 11 and of `tensorrt_rtx`, on an NVIDIA GPU."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ganport_runtime.backends import cuda
from ganport_runtime.entries import Engine, Entry
from ganport_runtime.errors import PlanError

if TYPE_CHECKING:
    from ganport_runtime.backends.tensorrt_session import TensorRTSession

__all__ = ["BACKEND", "TensorRT"]

OPTIONS = {"cuda_graph": ("on", "off")}
NEITHER = "neither tensorrt_rtx nor tensorrt is installed; pip install 'ganport[rtx]' or 'ganport[tensorrt]'"


class TensorRT:
    """The backend `tensorrt`. It runs engines that an export built, and builds none itself."""

    devices = ("cuda",)

    def refusal(self, device: str) -> str | None:  # noqa: ARG002
        """Why no engine can run here, or None."""
        without_driver = cuda.refusal()
        if without_driver is not None:
            return without_driver
        return None if self.version() else NEITHER

    def entry_refusal(self, entry: Entry, device: str) -> str | None:  # noqa: ARG002
        """Why this machine does not fit an engine: every misfit of its record, and the remedy."""
        if not isinstance(entry, Engine):
            return "tensorrt runs engines alone; build one with ganport export ... --engines tensorrt-rtx"
        from ganport_runtime.backends.tensorrt_fit import refusal_of, this_machine  # not for bundles without engines

        return refusal_of(entry, this_machine())

    def choices(self, entry: Entry, device: str) -> tuple[Mapping[str, str], ...]:  # noqa: ARG002
        """With a CUDA graph for each bucket, and without."""
        return tuple({"cuda_graph": value} for value in OPTIONS["cuda_graph"])

    def version(self) -> str:
        """The installed libraries of the family with their versions."""
        from ganport_runtime.backends.tensorrt_fit import installed

        return ", ".join(f"{library} {version}" for library, version in installed().items())

    def open(
        self, model: bytes | Path, *, entry: Entry, device: str, threads: int | None, options: Mapping[str, str] = {}
    ) -> "TensorRTSession":
        """Deserialize an engine, after its bytes were seen to be those that the manifest names."""
        from ganport_runtime.backends.options import check_options
        from ganport_runtime.backends.tensorrt_loading import load_engine

        check_options("tensorrt", options, OPTIONS)
        del threads  # one thread asks the GPU for its work
        reasons = [reason for reason in (self.entry_refusal(entry, device), self.refusal(device)) if reason]
        if reasons or not isinstance(entry, Engine):
            raise PlanError("; ".join(reasons))
        return load_engine(model, entry, {"cuda_graph": "on", **options})


BACKEND = TensorRT
