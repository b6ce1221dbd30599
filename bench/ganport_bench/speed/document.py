"""The JSON document: machine, ceilings, a row for every system at every batch size, the summary, the targets."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ganport_bench.ceilings import Peak
from ganport_bench.speed.comparison import Comparison, Measured
from ganport_bench.speed.summary import summarize
from ganport_bench.speed.targets import Target

__all__ = ["Results", "row", "to_json"]

FORMAT = 1
PERCENTILES = (50, 90, 99)


@dataclass(frozen=True)
class Results:
    """All that one run of the benchmark found.

    Attributes:
        machine: facts that the figures depend on.
        model: what was measured: run, bundle, whether it was trained.
        multiply_adds: of the network, for one image.
        peaks: by precision.
        comparisons: one a batch size.
        targets: what was promised.
    """

    machine: Mapping[str, Any]
    model: Mapping[str, Any]
    multiply_adds: int
    peaks: Mapping[str, Peak]
    comparisons: Sequence[Comparison]
    targets: Sequence[Target]


def to_json(results: Results) -> dict[str, Any]:
    """The document of `--json`."""
    every = [(one, results) for comparison in results.comparisons for one in comparison.measured]
    return {
        "format": FORMAT,
        "machine": dict(results.machine),
        "model": dict(results.model),
        "ceilings": {
            "multiply_adds_an_image": results.multiply_adds,
            "peaks": {precision: _peak(peak, results.multiply_adds) for precision, peak in results.peaks.items()},
        },
        "rows": [row(one, results) for one, results in every],
        "missing": {str(comparison.batch): dict(comparison.missing) for comparison in results.comparisons},
        "summary": {str(comparison.batch): summarize(comparison).to_json() for comparison in results.comparisons},
        "targets": [target.to_json() for target in results.targets],
    }


def row(one: Measured, results: Results) -> dict[str, Any]:
    """One system at one batch size; times in milliseconds of a call."""
    rate = one.images_per_second
    peak = results.peaks.get(one.precision)
    difference = one.verdict.difference
    return {
        "system": one.name,
        "kind": one.kind,
        "precision": one.precision,
        "batch": one.batch,
        "images_per_second": rate.value,
        "low": rate.low,
        "high": rate.high,
        "latency_ms": {f"p{p}": float(np.percentile(one.calls, p)) * 1e3 for p in PERCENTILES},
        "psnr_db": one.verdict.psnr_db,
        "difference": None if difference is None else asdict(difference),
        "correct": not one.verdict.wrong,
        "share_of_ceiling": None if peak is None else rate.value / peak.images_per_second(results.multiply_adds),
        "settings": dict(one.settings),
        "settings_tried": one.tried,
        "note": "; ".join(text for text in (one.verdict.wrong, one.note) if text),
    }


def _peak(peak: Peak, multiply_adds: int) -> dict[str, Any]:
    return asdict(peak) | {"images_per_second": peak.images_per_second(multiply_adds)}
