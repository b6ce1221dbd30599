"""Ranges and codes against values computed by hand, by numpy on the values themselves, and by trying everything."""

import numpy as np
import pytest
from ganport_export.quantize.ranges import METHODS, Codes, Histogram, Scale
from ganport_export.session import Range
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

U8, S8 = Codes(0, 255, symmetric=False), Codes(-128, 127, symmetric=True)
BINS = 4096

Floats = NDArray[np.float64]


def histogram_of(values: Floats) -> Histogram:
    span = Range(min(0.0, values.min()), max(0.0, values.max()))
    counts, _ = np.histogram(values, BINS, (span.lowest, span.highest))
    return Histogram(span, counts)


@pytest.mark.parametrize(
    ("codes", "span", "wanted"),
    [
        (U8, Range(0, 51), Scale(0.2, 0)),  # as after a Relu
        (U8, Range(-51, 204), Scale(1.0, 51)),
        (U8, Range(-51, 0), Scale(0.2, 255)),
        (S8, Range(-3, 12.7), Scale(0.1, 0)),
        (S8, Range(-12.7, 0), Scale(0.1, 0)),
        (U8, Range(0, 0), Scale(1.0, 0)),
        (S8, Range(0, 0), Scale(1.0, 0)),
    ],
)
def test_golden_scales(codes: Codes, span: Range, wanted: Scale) -> None:
    scale = codes.scale(span)
    assert scale.scale == pytest.approx(wanted.scale)
    assert scale.zero_point == wanted.zero_point


spans = st.tuples(st.floats(-100, 0), st.floats(0, 100)).filter(lambda ends: ends[1] - ends[0] > 1e-3)


@given(spans, st.sampled_from([U8, S8]), st.floats(0, 1))
def test_zero_stays_zero_and_nothing_in_range_moves_by_more_than_half_a_step(
    ends: tuple[float, float], codes: Codes, where: float
) -> None:
    span = Range(*ends)
    scale = codes.scale(span)
    assert codes.low <= scale.zero_point <= codes.high
    assert codes.rounded(np.zeros(1), scale.scale, scale.zero_point)[0] == 0
    value = np.array([span.lowest + where * (span.highest - span.lowest)])
    moved = abs(codes.rounded(value, scale.scale, scale.zero_point) - value)[0]
    assert moved <= scale.scale * (0.5 if codes.symmetric else 1) + 1e-9  # a rounded zero point shifts the ends


def test_min_max_is_all_that_was_seen() -> None:
    assert METHODS["min-max"](histogram_of(np.array([-2.0, 1, 5])), U8) == Range(-2, 5)


@pytest.mark.parametrize("percent", ["99.99", "99.999"])
def test_percentiles_are_those_of_the_values(percent: str) -> None:
    values = np.random.default_rng(0).normal(1, 2, 2_000_000)
    found = METHODS[f"percentile {percent}"](histogram_of(values), U8)
    width = np.ptp(values) / BINS
    assert found.highest == pytest.approx(np.percentile(values, float(percent)), abs=2 * width)
    assert found.lowest == pytest.approx(np.percentile(values, 100 - float(percent)), abs=2 * width)


def test_percentiles_hold_zero_and_one_outlier_does_not_count() -> None:
    values = np.append(np.linspace(1, 2, 1_000_000), 1000.0)
    for method in ("percentile 99.999", "percentile 99.99"):
        found = METHODS[method](histogram_of(values), U8)
        assert found.lowest == 0
        assert 2 <= found.highest < 2.5
    assert METHODS["min-max"](histogram_of(values), U8).highest == 1000


@pytest.mark.parametrize("codes", [U8, S8])
@pytest.mark.parametrize("tail", [1.0, 1.5])
def test_mean_squared_error_finds_the_best_range_there_is(codes: Codes, tail: float) -> None:
    """Against every share of the range, tried on the values themselves."""
    values = np.random.default_rng(1).laplace(size=200_000)
    values = np.sign(values) * np.abs(values) ** tail

    def error(span: Range) -> float:
        scale = codes.scale(span)
        return float(np.mean(np.square(codes.rounded(values, scale.scale, scale.zero_point) - values)))

    histogram = histogram_of(values)
    best = min(error(histogram.shrunk(share)) for share in np.linspace(0.05, 1, 96))
    found = METHODS["mean squared error"](histogram, codes)
    assert error(found) <= best * 1.01
    assert found.largest < histogram.span.largest  # a long tail is worth clipping


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("codes", [U8, S8])
def test_values_that_are_all_zero_or_absent_have_a_range(method: str, codes: Codes) -> None:
    for counts in (np.eye(1, BINS, dtype=np.int64)[0] * 7, np.zeros(BINS, np.int64)):
        assert METHODS[method](Histogram(Range(0, 0), counts), codes) == Range(0, 0)
