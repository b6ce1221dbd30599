"""Percentiles of latencies, and how many answers each of them needs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BEYOND", "PERCENTILES", "Latency", "latency_of", "least_samples"]

PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9)
BEYOND = 10  # answers above a percentile, or one that is slow by accident would be it
MILLI = 1e3


def least_samples(percent: float) -> int:
    """How many answers a percentile needs: 20 for p50, 100 for p90, 1,000 for p99, 10,000 for p99.9."""
    return math.ceil(round(BEYOND / (1 - percent / 100), 6))


@dataclass(frozen=True)
class Latency:
    """Of one load.

    Attributes:
        samples: how many answers.
        percentiles: of all answers, however few, seconds; empty where there is none.
    """

    samples: int
    percentiles: Mapping[float, float]

    @property
    def known(self) -> dict[float, float]:
        """The percentiles for which there are answers enough, seconds."""
        return {percent: value for percent, value in self.percentiles.items() if self.samples >= least_samples(percent)}

    def to_json(self) -> dict[str, Any]:
        """Milliseconds, `p50` and so on, where samples allow."""
        return {f"p{percent:g}": MILLI * value for percent, value in self.known.items()}


def latency_of(seconds: NDArray[np.float64]) -> Latency:
    """Of latencies, float64 [answers] seconds."""
    if not len(seconds):
        return Latency(0, {})
    values = np.percentile(seconds, PERCENTILES)
    return Latency(len(seconds), dict(zip(PERCENTILES, map(float, values), strict=True)))
