"""Rounds in which plans take turns: noise is not taken for a lead, and a lead is found however noisy the machine is."""

import math
from collections.abc import Iterator, Mapping
from functools import partial
from random import Random

import numpy as np
import pytest
from ganport_runtime.tuning import timing
from ganport_runtime.tuning.timing import Race, median_interval

GOAL = (1, 64)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(timing, "MOST_ROUNDS", 60)


def race(seconds: Mapping[str, float], noise: float, seed: int = 0) -> Race:
    """Plans whose calls take so many seconds an image, times noise."""
    random = Random(seed)

    def turn(seconds: float) -> float:
        return seconds * math.exp(random.gauss(0, noise))

    systems = {name: {bucket: partial(turn, bucket * one) for bucket in GOAL} for name, one in seconds.items()}
    rough = {name: {bucket: bucket * one for bucket in GOAL} for name, one in seconds.items()}
    return Race(systems, rough, GOAL)


def plain(seconds: Mapping[str, float]) -> dict[str, int]:
    """As many settings as the name has letters."""
    return {name: len(name) for name in seconds}


@pytest.mark.parametrize("seed", range(10))
def test_a_lead_of_a_tenth_is_found_in_noise_of_a_tenth(seed: int) -> None:
    seconds = {"a": 1.1e-3, "bbbb": 1e-3, "cc": 1.5e-3}
    run = race(seconds, noise=0.1, seed=seed)
    run.run(lambda: True)
    chosen, runner_up, lead = run.choose(plain(seconds))
    assert (chosen, runner_up) == ("bbbb", "a")
    assert lead is not None
    assert lead.is_certain
    assert 1 < lead.low <= lead.ratio <= lead.high


@pytest.mark.slow
def test_of_plans_that_are_equally_fast_the_one_with_fewer_settings_is_taken_and_nothing_is_certain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(timing, "MOST_ROUNDS", 20)
    seconds = {"threads 1": 1e-3, "default": 1e-3, "threads 2": 1e-3}
    found = []
    for seed in range(30):
        run = race(seconds, noise=0.05, seed=seed)
        run.run(lambda: True)
        found.append(run.choose(plain(seconds)))
    assert sum(lead is not None and lead.is_certain for _, _, lead in found) <= 4
    assert sum(chosen == "default" for chosen, _, _ in found) >= 24


def test_without_time_the_simplest_of_the_plans_that_are_about_as_fast_is_taken() -> None:
    seconds = {"a": 1.08e-3, "bb": 1e-3, "cc": 1.09e-3}
    run = race(seconds, noise=0)
    run.run(lambda: False)
    chosen, runner_up, lead = run.choose(plain(seconds))
    assert (run.rounds, chosen, runner_up) == (0, "a", "bb")
    assert lead is not None
    assert not lead.is_certain
    assert run.choose({"a": 1, "bb": 1, "cc": 1})[0] == "bb"


def test_who_is_far_behind_gets_no_more_turns_and_the_end_comes_when_all_is_certain() -> None:
    seconds = {"a": 1e-3, "b": 1.04e-3, "c": 2e-3}
    taking_part: list[int] = []
    run = race(seconds, noise=0.001)
    run.run(lambda: True, lambda _, plans: taking_part.append(plans))
    assert taking_part == [3, 3, 3] + [2] * 6
    assert run.choose(plain(seconds))[0] == "a"


def test_time_that_is_up_ends_it() -> None:
    left = iter([True, True, True, False])
    run = race({"a": 1e-3, "b": 1e-3}, noise=0.3)
    run.run(lambda: next(left))
    assert run.rounds == 3


def test_one_plan_alone_needs_no_rival() -> None:
    run = race({"a": 1e-3}, noise=0)
    run.run(lambda: True)
    assert run.choose({"a": 0}) == ("a", None, None)


def samples(count: int, runs: int) -> Iterator[np.ndarray[tuple[int], np.dtype[np.float64]]]:
    generator = np.random.default_rng(7)
    for _ in range(runs):
        yield generator.normal(size=count)


@pytest.mark.parametrize("count", [9, 15, 40])
def test_the_interval_misses_the_median_as_seldom_as_it_says(count: int) -> None:
    intervals = [median_interval(sample) for sample in samples(count, 4000)]
    missed = sum(not low <= 0 <= high for _, low, high in intervals)
    assert missed / 4000 < 0.005 + 3 * math.sqrt(0.005 / 4000)
    assert all(low <= median <= high for median, low, high in intervals)
