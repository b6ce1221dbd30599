"""Runs a graph on latents and keeps of every value that is asked for a histogram: memory does not grow with images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir

from ganport_export.activations import Range, activation_ranges, intermediate_values
from ganport_export.onnx_session import Feed
from ganport_export.passes.inspect_nodes import is_operator
from ganport_export.quantize.ranges import Histogram

__all__ = ["BINS", "histograms"]

BINS = 4096  # at least sixteen for each of the 256 codes, where nothing is clipped
ZERO = Range(0.0, 0.0)
SATURATED = {"Tanh": 4.0, "Sigmoid": 8.0}  # where they are within a thousandth of their ends: beyond is all the same


def histograms(model: onnx_ir.Model, names: Sequence[str], feeds: Sequence[Feed]) -> Mapping[str, Histogram]:
    """The histogram of every named value over all feeds. The graph runs twice: first for the ranges alone.

    What only a saturating function reads is cut off where that function has reached its end, or a network that paints
    its white very surely would leave few codes to everything else.

    Raises:
        ExportError: a value is NaN or infinite.
    """
    ranges = activation_ranges(model, names, feeds)
    limits = _limits(model, names)
    spans = {name: _cut(ranges.get(name, ZERO).joined(ZERO), limits.get(name)) for name in names}
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


def _cut(span: Range, limit: float | None) -> Range:
    return span if limit is None else Range(max(span.lowest, -limit), min(span.highest, limit))


def _count(values: npt.NDArray[Any], span: Range) -> npt.NDArray[np.int64]:
    """How many values lie in each bin, the outermost ones with all that is beyond; `np.histogram` takes far longer."""
    width = (span.highest - span.lowest) / BINS
    places = (values.ravel() - np.float32(span.lowest)) * np.float32(1 / width if width else 0)
    return np.bincount(np.clip(places, 0, BINS - 1).astype(np.int32), minlength=BINS)
