"""The least time that a batch can take on this machine: its arithmetic at the peak, or its bytes at the bandwidth."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ganport_bench.ceilings.bandwidth import Bandwidth
from ganport_bench.ceilings.demand import demand_of
from ganport_bench.ceilings.peaks import Peak

__all__ = ["Floor", "Floors", "floors_of", "share_of_ceiling"]


@dataclass(frozen=True)
class Floor:
    """Of one precision and batch size.

    Attributes:
        precision: of all that is multiplied, and of the weights as they are read.
        batch: images a call.
        arithmetic_seconds: of a call: what its operations take at the matrix-product peak.
        memory_seconds: of a call: what its weights, latents and images take at the bandwidth.
    """

    precision: str
    batch: int
    arithmetic_seconds: float
    memory_seconds: float

    @property
    def seconds(self) -> float:
        """Of a call: the longer one, for both may go on at once."""
        return max(self.arithmetic_seconds, self.memory_seconds)

    @property
    def bound(self) -> Literal["arithmetic", "memory"]:
        """What takes longer."""
        return "arithmetic" if self.arithmetic_seconds >= self.memory_seconds else "memory"

    @property
    def images_per_second(self) -> float:
        """At the floor."""
        return self.batch / self.seconds

    def share(self, images_per_second: float) -> float:
        """How much of the speed at the floor a measured one is: 1 is all that the machine can give."""
        return images_per_second / self.images_per_second

    def to_json(self) -> dict[str, Any]:
        """Its part of the document."""
        return {
            "seconds": self.seconds,
            "bound": self.bound,
            "images_per_second": self.images_per_second,
            "arithmetic_seconds": self.arithmetic_seconds,
            "memory_seconds": self.memory_seconds,
        }


Floors = Mapping[str, Mapping[int, Floor]]


def floors_of(
    graph: bytes, peaks: Mapping[str, Peak], bandwidth: Bandwidth, batches: Iterable[int]
) -> dict[str, dict[int, Floor]]:
    """The floor of every precision that has a peak, at every batch size.

    Args:
        graph: the generator as trained, `deconv`: other forms of it may multiply more, and none has to.
        peaks: of one device, by precision.
        bandwidth: of the same device.
        batches: images a call.

    Raises:
        BenchError: a shape that is needed cannot be inferred.
    """
    demand, sizes = demand_of(graph), tuple(batches)

    def floor(peak: Peak, batch: int) -> Floor:
        arithmetic = demand.operations(batch) / peak.operations_per_second.value
        return Floor(peak.precision, batch, arithmetic, bandwidth.seconds(demand.bytes(peak.precision, batch)))

    return {precision: {batch: floor(peak, batch) for batch in sizes} for precision, peak in peaks.items()}


def share_of_ceiling(floors: Floors, precision: str, batch: int, images_per_second: float) -> tuple[float | None, str]:
    """The share of the speed at the floor, and why there is none, or an empty text.

    Args:
        floors: of the device that computed.
        precision: what was computed with.
        batch: images a call.
        images_per_second: as measured.
    """
    if not floors:
        return None, "no share of a ceiling: PyTorch, which measures a GPU's, finds none here"
    if precision not in floors:
        known = ", ".join(floors) or "none"
        return (
            None,
            f"no share of a ceiling: nothing here multiplies matrices in {precision} by itself, only in {known}",
        )
    return floors[precision][batch].share(images_per_second), ""
