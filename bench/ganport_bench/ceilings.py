"""What each device of this machine could do at most with a network, and a measured speed's share of that.

The floor of a batch is the least time that it can take: its arithmetic at the matrix-product peak, or its weights,
latents and images at the memory bandwidth, whichever is longer.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ganport_bench.effort import Effort, OnStep
from ganport_bench.graph_work import Demand, demand_of
from ganport_bench.peaks import Bandwidth, Peak, higher_bandwidth, higher_peaks, measure_bandwidth, measure_peaks
from ganport_bench.tables import Table, between, estimate, listed, mebibytes, number

CPU, CUDA = "cpu", "cuda"
GIGA, MEGA = 1e9, 1e6


@dataclass(frozen=True)
class BatchFloor:
    """Of one precision and batch size."""

    precision: str  # of all that is multiplied, and of the weights as they are read
    batch: int  # images a call
    arithmetic_seconds: float  # of a call: what its operations take at the matrix-product peak
    memory_seconds: float  # of a call: what its weights, latents and images take at the bandwidth

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

    def to_json(self) -> dict[str, Any]:
        """Its part of the document."""
        names = ("seconds", "bound", "images_per_second", "arithmetic_seconds", "memory_seconds")
        return {name: getattr(self, name) for name in names}


Floors = Mapping[str, Mapping[int, BatchFloor]]  # by precision and batch size


@dataclass(frozen=True)
class Limits:
    """Of one device, whatever it runs."""

    peaks: Mapping[str, Peak]  # of matrix products, by precision
    bandwidth: Bandwidth  # of its memory


@dataclass(frozen=True)
class Ceilings:
    """Of every device."""

    demand: Demand  # what the network asks for
    # by device: `cpu`, and `cuda` where PyTorch can use a GPU. An engine may use one that PyTorch cannot.
    limits: Mapping[str, Limits]
    floors: Mapping[str, Floors]  # by device: the least time of a batch

    def to_json(self) -> dict[str, Any]:
        """The processor's, and a GPU's below its name."""
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
        limits, adds = self.limits[device], self.demand.multiply_adds
        return {
            "peaks": {
                precision: asdict(peak) | {"images_per_second": peak.images_per_second(adds)}
                for precision, peak in limits.peaks.items()
            },
            "bandwidth": limits.bandwidth.to_json(),
            "floors": {
                precision: {str(batch): floor.to_json() for batch, floor in of_batch.items()}
                for precision, of_batch in self.floors[device].items()
            },
        }


def measure_limits(effort: Effort, on_step: OnStep) -> dict[str, Limits]:
    """Measure every device."""
    rounds, seconds = effort.screening_rounds, effort.screening_seconds
    on_step("the processor's matrix-product peaks and memory bandwidth")
    peaks = measure_peaks(rounds=rounds, turn_seconds=seconds)
    found = {CPU: Limits(peaks, measure_bandwidth(rounds=rounds, turn_seconds=seconds))}
    from ganport_bench.baselines.pytorch_cuda import cuda_refusal

    if cuda_refusal() is None:
        from ganport_bench.peaks_cuda import measure_cuda_bandwidth, measure_cuda_peaks

        on_step("the GPU's matrix-product peaks and memory bandwidth")
        peaks = measure_cuda_peaks(rounds=rounds, turn_seconds=seconds)
        found[CUDA] = Limits(peaks, measure_cuda_bandwidth(rounds=rounds, turn_seconds=seconds))
    return found


def higher_limits(first: Mapping[str, Limits], second: Mapping[str, Limits]) -> dict[str, Limits]:
    """The higher of two measurements: other load can only have lowered them."""
    return {
        device: Limits(
            higher_peaks(one.peaks, second[device].peaks), higher_bandwidth(one.bandwidth, second[device].bandwidth)
        )
        for device, one in first.items()
    }


def ceilings_of(graph: bytes, limits: Mapping[str, Limits], batches: Iterable[int]) -> Ceilings:
    """The ceilings for one network. Raises BenchError: a shape that is needed cannot be inferred."""
    demand, sizes = demand_of(graph), tuple(batches)

    def floor(peak: Peak, bandwidth: Bandwidth, batch: int) -> BatchFloor:
        arithmetic = demand.operations(batch) / peak.operations_per_second.value
        return BatchFloor(peak.precision, batch, arithmetic, bandwidth.seconds(demand.bytes(peak.precision, batch)))

    floors = {
        device: {
            precision: {batch: floor(peak, one.bandwidth, batch) for batch in sizes}
            for precision, peak in one.peaks.items()
        }
        for device, one in limits.items()
    }
    return Ceilings(demand, limits, floors)


def share_of_ceiling(floors: Floors, precision: str, batch: int, images_per_second: float) -> tuple[float | None, str]:
    """The share of the speed at the floor, 1 being all that the machine can give, and why there is none."""
    if not floors:
        return None, "no share of a ceiling: PyTorch, which measures a GPU's, finds none here"
    if precision not in floors:
        known = ", ".join(floors)
        return None, f"no share of a ceiling: no product in {precision} was measured here, only in {known}"
    return images_per_second / floors[precision][batch].images_per_second, ""


def ceilings_tables(found: Mapping[str, Any]) -> Iterator[Table]:
    """The network's demand; peaks, bandwidth and floors of the processor, and of a GPU where there is one."""
    needed, sizes = found.get("needed_multiply_adds_an_image"), found.get("bytes", {})
    lines = [f"{found['multiply_adds_an_image'] / MEGA:,.1f} million multiply-adds an image"]
    lines[0] += "" if needed is None else f", {needed / MEGA:,.1f} million of them not on padding"
    if sizes:
        lines += [f"Bytes: {listed({name.replace('_', ' '): f'{size:,}' for name, size in sizes.items()})}"]
    yield from _device_tables(CPU, found, lines)
    for device, of_device in found.items():
        if isinstance(of_device, Mapping) and "peaks" in of_device:
            yield from _device_tables(device, of_device, [])


def _device_tables(device: str, found: Mapping[str, Any], lines: list[str]) -> Iterator[Table]:
    floors, bandwidth = found.get("floors") or {}, found.get("bandwidth")
    batches = list(dict.fromkeys(batch for of_batch in floors.values() for batch in of_batch))
    at = [f"images/s, batch {batch}" for batch in batches]
    rows = []
    for precision, peak in found["peaks"].items():
        rate = {key: peak["operations_per_second"][key] / GIGA for key in ("value", "low", "high")}
        least = [(floors.get(precision) or {}).get(batch) for batch in batches]
        cells = ["" if one is None else f"{number(one['images_per_second'])} ({one['bound']})" for one in least]
        rows.append((precision, number(rate["value"]), between(rate["low"], rate["high"]), *cells, peak["how"]))
        lines = [*lines, *(f"Not tried: {how}: {why}" for how, why in (peak.get("refused") or {}).items())]
    if bandwidth:
        lines = [*lines, f"Memory: {_stream(bandwidth)}"]
        if cache := bandwidth.get("cache"):
            lines += [f"Its last cache of {mebibytes(cache['bytes'])} MiB: {_stream(cache)}"]
    columns = ("precision", "Gop/s", "95 % interval", *at, "measured by")
    yield Table(f"Ceilings ({device})", columns, rows, "\n".join(lines))


def _stream(stream: Mapping[str, Any]) -> str:
    rate = {key: stream["bytes_per_second"][key] / GIGA for key in ("value", "low", "high")}
    return f"{estimate(rate, ' GB/s')}, {stream['how']}"
