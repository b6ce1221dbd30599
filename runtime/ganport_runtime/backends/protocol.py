"""What a backend offers: a reason why it cannot run here, or sessions opened from a graph."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

__all__ = ["Backend", "Session", "Tensor"]


@dataclass(frozen=True)
class Tensor:
    """An input or output of a graph; dimensions that are not fixed are None."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]


class Session(Protocol):
    """A loaded graph. `run` may be called by several threads at once.

    Attributes:
        provider: what runs the graph, as the engine itself reports it.
        options: what the engine was told, beside its defaults.
        pads_to_bucket: whether the batch is to be one of the buckets' sizes, padded where it is smaller.
        inputs: the graph's inputs.
        outputs: the graph's outputs.
    """

    provider: str
    options: Mapping[str, str]
    pads_to_bucket: bool
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Compute the named outputs alone.

        Raises:
            PlanError: the engine failed; the text has its reason.
        """


class Backend(Protocol):
    """One inference library.

    Attributes:
        devices: the devices that it can drive, fastest first: `cuda`, `cpu`.
    """

    devices: tuple[str, ...]

    def refusal(self, device: str) -> str | None:
        """Why it cannot run on `device` here, with the remedy, or None where it can; opens nothing."""

    def version(self) -> str:
        """The library's version; only where `refusal` is None for some device."""

    def open(self, model: bytes | Path, *, device: str, threads: int | None) -> Session:
        """Load an ONNX graph onto a device.

        Args:
            model: the graph with its weights: its bytes, or a path to load it from at once.
            device: one of `devices`.
            threads: CPU threads for one run, or None for the library's own default.

        Raises:
            PlanError: the device cannot be used after all.
            BundleError: the library cannot load the graph.
        """
