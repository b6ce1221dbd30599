import gc
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from ganport_bench.timing import Turns, interleave, median, ratio, stopwatch, turns_of
from hypothesis import given, settings
from hypothesis import strategies as st


class Clock:
    """Time that goes on only when a fake system says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def taking(self, *seconds: float) -> Callable[[], None]:
        """Work that takes these seconds in turn, over and over."""
        calls = iter(range(10**6))

        def work() -> None:
            self.now += seconds[next(calls) % len(seconds)]

        return work


def test_a_stopwatch_returns_the_seconds_of_one_call() -> None:
    clock = Clock()
    assert stopwatch(clock.taking(0.25), clock=clock)() == 0.25
    assert stopwatch(clock.taking(0.1, 0.2, 0.6), calls=3, clock=clock)() == pytest.approx(0.3)


def test_every_round_measures_every_system_and_nothing_else() -> None:
    clock = Clock()
    systems = {
        "quick": stopwatch(clock.taking(0.001), clock=clock),
        "slow": stopwatch(clock.taking(0.004, 0.006), clock=clock),
    }
    seconds = interleave(systems, rounds=4, warmup=0)
    np.testing.assert_allclose(seconds["quick"], [0.001] * 4)
    np.testing.assert_allclose(seconds["slow"], [0.004, 0.006, 0.004, 0.006])


def test_the_first_rounds_warm_up_and_do_not_count() -> None:
    clock = Clock()
    cold = stopwatch(clock.taking(9.0, 5.0, *[0.01] * 8), clock=clock)
    assert interleave({"cold": cold}, rounds=3, warmup=2)["cold"] == pytest.approx([0.01] * 3)


def test_nobody_always_follows_the_same_neighbor_nor_is_first_more_often_than_last() -> None:
    order: list[str] = []
    names = "abcdefgh"
    interleave({name: stopwatch(partial(order.append, name)) for name in names}, rounds=14, warmup=0)
    rounds = ["".join(order[at : at + len(names)]) for at in range(0, len(order), len(names))]
    assert all(sorted(one) == list(names) for one in rounds)
    for name in names:
        before = {one[one.index(name) - 1] for one in rounds if one.index(name)}
        assert len(before) >= 4
        places = [one.index(name) for one in rounds]
        assert all(first + second == len(names) - 1 for first, second in zip(places[::2], places[1::2], strict=True))
    order.clear()
    interleave({name: stopwatch(partial(order.append, name)) for name in "ab"}, rounds=4, warmup=0)
    assert "".join(order) in ("abbaabba", "abbabaab", "baabbaab", "baababba"), "two take turns at being first"


def test_a_machine_that_slows_down_for_all_leaves_the_ratio_alone() -> None:
    """Half-way through, everything takes five times as long: medians over all rounds would mislead, pairs do not."""
    clock = Clock()
    slowdown = [1.0] * 10 + [5.0] * 11
    base = stopwatch(clock.taking(*[0.010 * factor for factor in slowdown]), clock=clock)
    other = stopwatch(clock.taking(*[0.012 * factor for factor in slowdown]), clock=clock)
    seconds = interleave({"base": base, "other": other}, rounds=21, warmup=0)
    estimate = ratio(seconds["other"], seconds["base"])
    assert [estimate.value, estimate.low, estimate.high] == pytest.approx([1.2] * 3)


def test_a_median_is_not_moved_by_outliers_but_its_interval_shows_noise() -> None:
    random = np.random.default_rng(0)
    quiet = random.normal(1, 0.001, 101)
    noisy = random.normal(1, 0.1, 101)
    noisy[:10] = 50
    quiet_estimate, noisy_estimate = median(quiet), median(noisy)
    assert quiet_estimate.value == pytest.approx(1, abs=0.001)
    assert noisy_estimate.value == pytest.approx(1, abs=0.1)
    assert noisy_estimate.high - noisy_estimate.low > 20 * (quiet_estimate.high - quiet_estimate.low)


def test_the_interval_covers_the_true_median_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    estimates = [median(random.exponential(1.0, 41)) for _ in range(200)]
    covered = sum(estimate.low <= np.log(2) <= estimate.high for estimate in estimates)
    assert 0.90 <= covered / 200 <= 0.99


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=30))
def test_an_interval_holds_its_median_and_is_of_two_of_the_values(values: list[float]) -> None:
    estimate = median(np.array(values))
    assert estimate.value == float(np.median(values))
    assert estimate.low <= estimate.value <= estimate.high
    assert {estimate.low, estimate.high} <= {*values}


@pytest.mark.parametrize(("count", "cut"), [(1, 0), (5, 0), (6, 0), (9, 1), (12, 2), (25, 7), (100, 39)])
def test_the_ranks_are_those_of_published_tables(count: int, cut: int) -> None:
    """Conover, Practical Nonparametric Statistics: the sign test's table for 95 %."""
    estimate = median(np.arange(count, dtype=np.float64))
    assert (estimate.low, estimate.high) == (cut, count - 1 - cut)


def test_garbage_is_not_collected_within_a_round_and_is_again_afterwards() -> None:
    during: list[bool] = []
    interleave({"system": stopwatch(lambda: during.append(gc.isenabled()))}, rounds=2)
    assert during == [False] * 3
    assert gc.isenabled()

    def broken() -> float:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        interleave({"system": broken}, rounds=1)
    assert gc.isenabled()


def test_single_calls_are_kept_without_the_warm_up() -> None:
    clock = Clock()
    turns = Turns(clock.taking(8.0, 8.0, 0.1, 0.2, 0.3, 0.4), calls=2, lead=0, clock=clock)
    seconds = interleave({"one": turns}, rounds=2, warmup=1)["one"]
    np.testing.assert_allclose(seconds, [0.15, 0.35])
    np.testing.assert_allclose(turns.calls(warmup=1), [0.1, 0.2, 0.3, 0.4])


@pytest.mark.parametrize(("seconds", "calls"), [(0.001, 80), (0.03, 3), (0.5, 1)])
def test_a_turn_has_about_the_length_that_was_asked_for_however_long_the_first_calls_take(
    seconds: float, calls: int
) -> None:
    clock = Clock()
    turns = turns_of(clock.taking(5.0, 2.0, *[seconds] * 200), 0.1, clock=clock)
    turns()
    assert len(turns.calls(warmup=0)) == calls
