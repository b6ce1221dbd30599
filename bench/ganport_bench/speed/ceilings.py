"""What each device of this machine could do at most with the network that is measured."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ganport_bench.ceilings import (
    Bandwidth,
    Demand,
    Floors,
    Peak,
    demand_of,
    faster,
    floors_of,
    higher,
    measure_bandwidth,
    measure_peaks,
)
from ganport_bench.command import OnStep
from ganport_bench.speed.effort import Effort

__all__ = ["CPU", "Ceilings", "Limits", "ceilings_of", "higher_limits", "measure_limits"]

CPU, CUDA = "cpu", "cuda"


@dataclass(frozen=True)
class Limits:
    """Of one device, whatever it runs.

    Attributes:
        peaks: of matrix products, by precision.
        bandwidth: of its memory.
    """

    peaks: Mapping[str, Peak]
    bandwidth: Bandwidth


@dataclass(frozen=True)
class Ceilings:
    """Of every device.

    Attributes:
        demand: what the network asks for.
        limits: by device, `cpu` and, where there is one that PyTorch can use, `cuda`: an engine may use one without it.
        floors: by device: the least time of a batch.
    """

    demand: Demand
    limits: Mapping[str, Limits]
    floors: Mapping[str, Floors]

    def to_json(self) -> dict[str, Any]:
        """The processor's, and a GPU's beside it under its name."""
        found = {device: self._of(device) for device in self.limits}
        demand = self.demand
        return {
            "multiply_adds_an_image": demand.multiply_adds,
            "needed_multiply_adds_an_image": demand.needed_multiply_adds,
            "bytes": {
                "weights": demand.weight_bytes,
                "latent_an_image": demand.latent_bytes,
                "image": demand.image_bytes,
            },
            **found.pop(CPU),
            **found,
        }

    def peak(self, device: str, precision: str) -> Peak | None:
        """The matrix-product peak; None where nothing here measures one."""
        return self.limits[device].peaks.get(precision) if device in self.limits else None

    def _of(self, device: str) -> dict[str, Any]:
        limits, floors = self.limits[device], self.floors[device]
        return {
            "peaks": {
                precision: asdict(peak) | {"images_per_second": peak.images_per_second(self.demand.multiply_adds)}
                for precision, peak in limits.peaks.items()
            },
            "bandwidth": limits.bandwidth.to_json(),
            "floors": {
                precision: {str(batch): floor.to_json() for batch, floor in of_batch.items()}
                for precision, of_batch in floors.items()
            },
        }


def measure_limits(effort: Effort, on_step: OnStep) -> dict[str, Limits]:
    """Measure every device."""
    rounds, seconds = effort.screening_rounds, effort.screening_seconds
    on_step("the processor's matrix-product peaks and memory bandwidth")
    peaks = measure_peaks(rounds=rounds, turn_seconds=seconds)
    found = {CPU: Limits(peaks, measure_bandwidth(rounds=rounds, turn_seconds=seconds))}
    from ganport_bench.peers.pytorch_cuda import cuda_refusal

    if cuda_refusal() is None:
        from ganport_bench.ceilings.cuda import measure_cuda_bandwidth, measure_cuda_peaks

        on_step("the GPU's matrix-product peaks and memory bandwidth")
        peaks = measure_cuda_peaks(rounds=rounds, turn_seconds=seconds)
        found[CUDA] = Limits(peaks, measure_cuda_bandwidth(rounds=rounds, turn_seconds=seconds))
    return found


def higher_limits(first: Mapping[str, Limits], second: Mapping[str, Limits]) -> dict[str, Limits]:
    """The higher of two measurements: other load can only have lowered them."""
    return {
        device: Limits(higher(one.peaks, second[device].peaks), faster(one.bandwidth, second[device].bandwidth))
        for device, one in first.items()
    }


def ceilings_of(graph: bytes, limits: Mapping[str, Limits], batches: Sequence[int]) -> Ceilings:
    """The ceilings for one network.

    Args:
        graph: the generator as trained.
        limits: by device.
        batches: images a call.
    """
    floors = {device: floors_of(graph, one.peaks, one.bandwidth, batches) for device, one in limits.items()}
    return Ceilings(demand_of(graph), limits, floors)
