"""What the JSON document says of speed: ceilings, a row for every system at every batch size, summary, targets.

A percentile of latencies wants ten calls beyond it, as under load: 20 calls for p50, 100 for p90, 1,000 for p99 and
10,000 for p99.9. The last is null where there are fewer; of the others a row's note says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ganport_bench.ceilings import Bandwidth, Peak, share_of_ceiling
from ganport_bench.null_backend import Overhead
from ganport_bench.speed.ceilings import CPU, Ceilings
from ganport_bench.speed.measured import Comparison, Measured
from ganport_bench.speed.summary import summarize
from ganport_bench.speed.targets import Target
from ganport_bench.timing import Latency, latency_of, least_samples

__all__ = ["Results", "few_calls", "row", "to_json"]

ALWAYS, WHERE_KNOWN = (50.0, 90.0, 99.0), 99.9


@dataclass(frozen=True)
class Results:
    """All that was found of everyone's speed.

    Attributes:
        standard: what images were compared with.
        stock_note: what the graph is that ONNX Runtime and OpenVINO run as peers, where it is no plain export.
        ceilings: of this machine.
        comparisons: one a batch size.
        overhead: what ganport's own code takes of a call, by batch size.
        targets: what was promised.
    """

    standard: str
    stock_note: str
    ceilings: Ceilings
    comparisons: Sequence[Comparison]
    overhead: Sequence[Overhead]
    targets: Sequence[Target]

    @property
    def peaks(self) -> Mapping[str, Peak]:
        """The processor's, by precision."""
        return self.ceilings.limits[CPU].peaks

    @property
    def bandwidth(self) -> Bandwidth:
        """Of the computer's memory."""
        return self.ceilings.limits[CPU].bandwidth


def to_json(results: Results) -> dict[str, Any]:
    """Its parts of the document."""
    every = [(one, results) for comparison in results.comparisons for one in comparison.measured]
    return {
        "ceilings": results.ceilings.to_json(),
        "rows": [row(one, results) for one, results in every],
        "missing": {str(comparison.batch): dict(comparison.missing) for comparison in results.comparisons},
        "summary": {
            str(comparison.batch): summarize(comparison.measured).to_json() for comparison in results.comparisons
        },
        "overhead": [one.to_json() for one in results.overhead],
        "targets": [target.to_json() for target in results.targets],
    }


def row(one: Measured, results: Results) -> dict[str, Any]:
    """One system at one batch size; times in milliseconds of a call."""
    rate, latency, difference = one.images_per_second, latency_of(one.calls), one.verdict.difference
    floors = results.ceilings.floors.get(one.device, {})
    share, no_share = share_of_ceiling(floors, one.precision, one.batch, rate.value)
    stock = results.stock_note if one.kind == "peer" else ""
    return {
        "system": one.name,
        "kind": one.kind,
        "precision": one.precision,
        "batch": one.batch,
        "images_per_second": rate.value,
        "low": rate.low,
        "high": rate.high,
        "rounds": len(one.taken.seconds),
        "is_wide": one.is_wide,
        "latency_ms": _milliseconds(latency),
        "samples": latency.samples,
        "transfers": one.transfers,
        "psnr_db": one.verdict.psnr_db,
        "difference": None if difference is None else asdict(difference),
        "correct": not one.verdict.wrong,
        "share_of_ceiling": share,
        "settings": dict(one.settings),
        "settings_tried": one.tried,
        "note": "; ".join(text for text in (one.verdict.wrong, stock, one.note, no_share, few_calls(latency)) if text),
    }


def few_calls(latency: Latency) -> str:
    """Which percentiles are of fewer calls than they want, in words; empty where none is."""
    wanted = {percent: least_samples(percent) for percent in ALWAYS if percent not in latency.known}
    if not wanted:
        return ""
    names, counts = " and ".join(f"p{percent:g}" for percent in wanted), " and ".join(f"{n:,}" for n in wanted.values())
    return f"{names} of {latency.samples:,} calls, where {counts} are wanted"


def _milliseconds(latency: Latency) -> dict[str, float | None]:
    always = {f"p{percent:g}": 1e3 * latency.percentiles[percent] for percent in ALWAYS}
    return {**always, f"p{WHERE_KNOWN:g}": latency.to_json().get(f"p{WHERE_KNOWN:g}")}
