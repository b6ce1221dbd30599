import numpy as np
import pytest
from ganport_bench.client.loops import closed_loop
from ganport_bench.client.outcome import Outcome
from ganport_bench.load.sweep import StabilityRule
from ganport_bench.timing import latency_of, least_samples

from tests.bench.client.fake_server import EXPECTED, Fake, running


def steps(*windows: tuple[int, float]) -> Outcome:
    """Windows of one second with so many answers, evenly, of that latency."""
    answered = np.concatenate([second + (np.arange(n) + 0.5) / n for second, (n, _) in enumerate(windows) if n])
    latency = np.concatenate([np.full(n, seconds) for n, seconds in windows])
    sent, status = answered - latency, np.full(len(answered), 200, np.int16)
    return Outcome(sent, sent, answered, status, {}, {}, 0, 0, 0.1, float(len(windows)))


def rule(most: int = 10) -> StabilityRule:
    return StabilityRule(1.0, most)


def test_three_windows_alike_are_rest() -> None:
    outcome = steps((100, 0.01), (104, 0.01), (108, 0.0105))
    assert rule()(outcome)
    assert rule().stable_after(outcome) == 3
    assert rule().interval(outcome) == (0, 3)


@pytest.mark.parametrize("odd", [(112, 0.01), (100, 0.0115), (0, 0.01)], ids=["throughput", "latency", "nothing"])
def test_one_window_that_is_more_than_a_tenth_off_is_none(odd: tuple[int, float]) -> None:
    outcome = steps((100, 0.01), odd, (100, 0.01))
    assert not rule()(outcome)
    assert rule(3).interval(outcome) == (0, 3)


def test_rest_that_comes_later_is_where_what_counts_begins() -> None:
    outcome = steps((10, 0.1), (50, 0.02), (100, 0.01), (100, 0.01), (100, 0.01), (100, 0.01))
    assert rule().stable_after(outcome) == 5
    assert rule().interval(outcome) == (2, 5)


def test_a_load_that_never_rests_counts_its_last_windows() -> None:
    outcome = steps(*[(100 + 50 * (number % 2), 0.01) for number in range(6)])
    assert rule(6).stable_after(outcome) is None
    assert rule(6).interval(outcome) == (3, 6)


def test_a_closed_loop_stops_as_it_comes_to_rest() -> None:
    with running(Fake(delay=lambda _: 0.01)) as fake:
        outcome = closed_loop(
            fake.endpoint, EXPECTED, clients=2, seconds=20, look_seconds=0.2, is_enough=StabilityRule(0.2, 100)
        )
    assert outcome.is_right
    assert 0.6 <= outcome.seconds < 10


def test_a_percentile_needs_ten_answers_above_it() -> None:
    assert [least_samples(percent) for percent in (50, 90, 95, 99, 99.9)] == [20, 100, 200, 1000, 10_000]
    latency = latency_of(np.linspace(0.001, 0.1, 999))
    assert set(latency.to_json()) == {"p50", "p90", "p95"}
    assert latency.to_json()["p50"] == pytest.approx(50.5)
    assert "p99" in latency_of(np.ones(1000)).to_json()
    assert latency_of(np.zeros(0)).to_json() == {}
