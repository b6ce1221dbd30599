from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from ganport_bench.speed.measured import speedup
from ganport_bench.speed.rounds import Taken, is_wide, paired, take_rounds
from ganport_bench.timing import Estimate

from tests.bench.speed.fakes import QUICKEST, measured

EFFORT = replace(QUICKEST, rounds=6, more_rounds=4, batch_seconds=50.0)


class Machine:
    """A clock that systems move: each takes its seconds in turn, over and over."""

    def __init__(self) -> None:
        self.now, self.order = 0.0, list[str]()

    def __call__(self) -> float:
        return self.now

    def system(self, name: str, *seconds: float) -> Callable[[], float]:
        calls = iter(range(10**6))

        def run() -> float:
            taken = seconds[next(calls) % len(seconds)]
            self.now += taken
            self.order.append(name)
            return taken

        return run


def best_is(*names: str) -> Callable[[Mapping[str, Taken]], Sequence[str]]:
    return lambda _taken: names


def test_where_all_are_narrow_the_first_rounds_are_all() -> None:
    machine = Machine()
    taken = take_rounds({"a": machine.system("a", 1.0), "b": machine.system("b", 2.0)}, EFFORT, best_is("a"), machine)
    assert [len(one.seconds) for one in taken.values()] == [6, 6]
    assert machine.now == pytest.approx(7 * 3.0), "one round for warming up, six that count"


def test_who_is_wide_goes_on_beside_the_best_until_time_is_over() -> None:
    machine = Machine()
    systems = {
        "best": machine.system("best", 1.0),
        "steady": machine.system("steady", 1.0),
        "restless": machine.system("restless", 1.0, 2.0),
    }
    taken = take_rounds(systems, EFFORT, best_is("best"), machine)
    assert len(taken["steady"].seconds) == 6
    assert len(taken["restless"].seconds) == len(taken["best"].seconds) > 15
    np.testing.assert_array_equal(taken["best"].rounds, np.arange(len(taken["best"].rounds)))
    assert taken["restless"].is_wide(EFFORT.wide)
    assert 50 <= machine.now < 50 + 4 * 3, "the step that was begun is finished, none is begun after that"
    assert set(machine.order[-8:]) == {"best", "restless"}


def test_who_becomes_narrow_stops() -> None:
    """Two slow rounds among the first six are wide; among many they are not."""
    machine = Machine()
    values = [1.0, 1.5, 1.5, 1.5, *[1.0] * 1000]
    systems = {"best": machine.system("best", 1.0), "calm": machine.system("calm", *values)}
    taken = take_rounds(systems, EFFORT, best_is("best"), machine)
    assert 6 < len(taken["calm"].seconds) < 30
    assert not taken["calm"].is_wide(EFFORT.wide)
    assert machine.now < 50


def test_no_time_at_all_leaves_the_first_rounds() -> None:
    machine = Machine()
    systems = {"restless": machine.system("restless", 1.0, 2.0)}
    taken = take_rounds(systems, replace(EFFORT, batch_seconds=0.0), best_is(), machine)
    assert len(taken["restless"].seconds) == 6


@pytest.mark.parametrize(("low", "high", "expected"), [(0.96, 1.05, False), (0.95, 1.06, True), (1.0, 1.0, False)])
def test_an_interval_is_wide_against_its_value(low: float, high: float, expected: bool) -> None:
    assert is_wide(Estimate(1.0, low, high), 0.10) is expected


def test_only_common_rounds_are_compared() -> None:
    one = Taken(np.array([1.0, 2.0, 3.0, 4.0]), np.array([0, 1, 5, 6]))
    other = Taken(np.array([10.0, 20.0, 30.0]), np.array([1, 2, 6]))
    mine, theirs = paired(one, other)
    np.testing.assert_array_equal(mine, [2.0, 4.0])
    np.testing.assert_array_equal(theirs, [10.0, 30.0])


def test_a_ratio_is_of_the_rounds_that_both_took_part_in() -> None:
    """The machine was twice as slow in the rounds that the peer had to itself."""
    peer = measured("peer", [4.0, 4.0, 2.0, 2.0])
    plan = measured("plan", [1.0, 1.0], kind="plan", first_round=2)
    found = speedup(plan, peer)
    assert found is not None
    assert found.value == pytest.approx(2.0)
