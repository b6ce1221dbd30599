"""The search for the highest rate, and the bound that it keeps."""

import pytest
from ganport_bench.scenarios.search import highest
from ganport_bench.scenarios.server import Bound


def test_it_comes_within_a_step_of_what_holds() -> None:
    tried: list[float] = []

    def holds(rate: float) -> bool:
        tried.append(rate)
        return rate <= 700

    found = highest(holds, 1024, 6)
    assert len(tried) == 6
    assert 700 - 1024 / 2**6 <= found <= 700


def test_where_nothing_holds_it_is_the_lowest_that_was_tried() -> None:
    assert highest(lambda _rate: False, 1024, 4) == 64


@pytest.mark.parametrize(("given", "batch_seconds", "wanted"), [
    (None, 0.0107, 0.043), (None, 0.010, 0.040), (None, 0.0001, 0.01), (0.005, 0.0107, 0.005),
])  # fmt: skip
def test_the_bound_is_a_few_batch_times_in_two_digits(given: float | None, batch_seconds: float, wanted: float) -> None:
    assert Bound(given, batch_seconds, 4).seconds == pytest.approx(wanted)
