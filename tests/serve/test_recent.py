"""What is counted of the last seconds: rates and percentiles."""

import numpy as np
import pytest
from ganport_serve.metrics import LATENCY_SECONDS, Recent
from hypothesis import given
from hypothesis import strategies as st


class Clock:
    def __init__(self) -> None:
        self.now = 1000.25

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.floats(1e-5, 100), min_size=1, max_size=200), st.floats(0.01, 1.0))
def test_percentiles_are_within_one_percent(seconds: list[float], share: float) -> None:
    recent = Recent(Clock())
    for one in seconds:
        recent.latency(one)
    (found,) = recent.percentiles(share) or [0.0]
    wanted = sorted(seconds)[int(np.ceil(share * len(seconds) - 1e-9)) - 1]
    assert found == pytest.approx(wanted, rel=0.0101)


def test_what_is_older_than_half_a_minute_is_forgotten() -> None:
    clock = Clock()
    recent = Recent(clock)
    assert recent.percentiles(0.5) is None
    recent.latency(5.0)
    clock.now += LATENCY_SECONDS
    recent.latency(1.0)
    assert recent.percentiles(1.0) == pytest.approx([5.0], rel=0.0101)
    clock.now += 1
    assert recent.percentiles(1.0) == pytest.approx([1.0], rel=0.0101)
    clock.now += 10 * LATENCY_SECONDS
    assert recent.percentiles(1.0) is None


def test_the_rate_is_that_of_the_last_five_whole_seconds() -> None:
    clock = Clock()
    recent = Recent(clock)
    for count in (10, 20, 30, 40, 50, 60):
        recent.images(count)
        clock.now += 1
    assert recent.images_per_second() == (20 + 30 + 40 + 50 + 60) / 5
    recent.images(1000)  # of a second that is not over yet
    assert recent.images_per_second() == 40
    clock.now += 6
    assert recent.images_per_second() == 0
