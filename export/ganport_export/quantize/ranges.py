"""From the histogram of a tensor's values to the range that its 8-bit codes span."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from ganport_export.activations import Range

__all__ = ["METHODS", "Codes", "Histogram", "RangeMethod", "Scale"]

CANDIDATES = 400  # ranges that "mean squared error" compares
SMALLEST = 0.02  # of them, as a share of the whole range

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scale:
    """value = scale * (code - zero_point)."""

    scale: float
    zero_point: int


@dataclass(frozen=True)
class Codes:
    """The integers that stand for values.

    Args:
        low: the smallest code.
        high: the largest.
        symmetric: whether 0 is always code 0; then the smallest code is left to values beyond the range.
    """

    low: int
    high: int
    symmetric: bool

    def scale(self, span: Range) -> Scale:
        """The scale at which the codes span a range that holds 0; 1 where the range is 0 alone."""
        if self.symmetric:
            return Scale(span.largest / self.high or 1.0, 0)
        scale = (span.highest - span.lowest) / (self.high - self.low)
        return Scale(scale, self.low - round(span.lowest / scale)) if scale else Scale(1.0, self.low)

    def rounded(self, values: Floats, scale: Floats | float, zero_point: Floats | int) -> Floats:
        """What values become when they are written as codes and read again; all arguments broadcast."""
        codes = np.clip(np.round(values / scale) + zero_point, self.low, self.high)
        return np.asarray((codes - zero_point) * scale)


@dataclass(frozen=True)
class Histogram:
    """How often values of a tensor fall into bins of equal width.

    Args:
        span: from the smallest value or 0 to the largest or 0: 0 must have a code of its own.
        counts: int64 [bins].
    """

    span: Range
    counts: npt.NDArray[np.int64]

    @property
    def edges(self) -> Floats:
        """Where the bins begin, and where the last one ends."""
        return np.linspace(self.span.lowest, self.span.highest, self.counts.size + 1)

    def shrunk(self, share: float) -> Range:
        """A share of the span, around 0."""
        return Range(self.span.lowest * share, self.span.highest * share)


RangeMethod = Callable[[Histogram, Codes], Range]


def _min_max(histogram: Histogram, _: Codes) -> Range:
    """Every value that was seen."""
    return histogram.span


def _percentile(histogram: Histogram, _: Codes, *, percent: float) -> Range:
    """All but the outermost values: `percent` of them lie below the high end, and as many above the low one."""
    if not histogram.counts.any():  # a value that was empty each time
        return histogram.span
    below = np.cumsum(histogram.counts) / histogram.counts.sum()
    edges = histogram.edges
    lowest = edges[np.searchsorted(below, 1 - percent / 100, side="right")]
    highest = edges[1 + np.searchsorted(below, percent / 100)]
    return Range(min(float(lowest), 0.0), max(float(highest), 0.0))


def _mean_squared_error(histogram: Histogram, codes: Codes) -> Range:
    """The share of the span at which rounding and clipping together cost the least."""
    shares = np.linspace(SMALLEST, 1, CANDIDATES)
    scales = [codes.scale(histogram.shrunk(share)) for share in shares]
    scale = np.array([[each.scale] for each in scales])
    zero_point = np.array([[each.zero_point] for each in scales])
    filled = histogram.counts > 0
    values = ((histogram.edges[:-1] + histogram.edges[1:]) / 2)[filled]
    cost = np.square(codes.rounded(values, scale, zero_point) - values) @ histogram.counts[filled]
    return histogram.shrunk(float(shares[np.argmin(cost)]))


METHODS: Mapping[str, RangeMethod] = {
    "min-max": _min_max,
    "percentile 99.999": partial(_percentile, percent=99.999),
    "percentile 99.99": partial(_percentile, percent=99.99),
    "mean squared error": _mean_squared_error,
}
