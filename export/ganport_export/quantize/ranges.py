"""The ranges of values inside a graph: counted in histograms, then chosen for the 8-bit codes to span."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir

from ganport_export.inputs import Feed
from ganport_export.passes.graph_view import is_operator
from ganport_export.session import Range, activation_ranges, intermediate_values

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
    """The integers that stand for values."""

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
    """How often values of a tensor fall into bins of equal width."""

    span: Range  # from the smallest value or 0 to the largest or 0: 0 must have a code of its own
    counts: npt.NDArray[np.int64]  # int64 [bins]

    @property
    def edges(self) -> Floats:
        """Where the bins begin, and where the last one ends."""
        return np.linspace(self.span.lowest, self.span.highest, self.counts.size + 1)

    def shrunk(self, share: float) -> Range:
        """A share of the span, around 0."""
        return Range(self.span.lowest * share, self.span.highest * share)


RangeMethod = Callable[[Histogram, Codes], Range]


def _min_max(histogram: Histogram, _: Codes) -> Range:
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


BINS = 4096  # at least sixteen for each of the 256 codes, where nothing is clipped
ZERO = Range(0.0, 0.0)
SATURATED = {"Tanh": 4.0, "Sigmoid": 8.0}  # where they are within a thousandth of their ends: beyond is all the same


def histograms(model: onnx_ir.Model, names: Sequence[str], feeds: Sequence[Feed]) -> Mapping[str, Histogram]:
    """The histogram of every named value over all feeds. The graph runs twice: first for the ranges alone.

    What only a saturating function reads is cut off where that function has reached its end, or a network that paints
    its white very surely would leave few codes to everything else.
    """
    ranges = activation_ranges(model, names, feeds)
    limits = _limits(model, names)
    spans = {}
    for name in names:
        seen, limit = ranges.get(name, ZERO).joined(ZERO), limits.get(name, math.inf)
        spans[name] = Range(max(seen.lowest, -limit), min(seen.highest, limit))
    counts = {name: np.zeros(BINS, np.int64) for name in names}
    for values in intermediate_values(model, names, feeds):
        for name, array in values.items():
            counts[name] += _count(array, spans[name])
    return {name: Histogram(spans[name], counts[name]) for name in names}


def _limits(model: onnx_ir.Model, names: Sequence[str]) -> Mapping[str, float]:
    """The largest absolute value that tells anything, of the named values which saturating functions alone read."""
    limits = {}
    for node in model.graph:
        for value in node.outputs:
            readers = value.consumers()
            if value.name in names and readers and all(is_operator(reader, *SATURATED) for reader in readers):
                limits[str(value.name)] = max(SATURATED[reader.op_type] for reader in readers)
    return limits


def _count(values: npt.NDArray[Any], span: Range) -> npt.NDArray[np.int64]:
    """How many values lie in each bin, the outermost ones with all that is beyond; `np.histogram` takes far longer."""
    width = (span.highest - span.lowest) / BINS
    places = (values.ravel() - np.float32(span.lowest)) * np.float32(1 / width if width else 0)
    return np.bincount(np.clip(places, 0, BINS - 1).astype(np.int32), minlength=BINS)
