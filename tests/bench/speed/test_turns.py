import numpy as np
import pytest
from ganport_bench.timing import Turns, interleave, turns_of


class Clock:
    """Time that goes on only when fake work says so."""

    def __init__(self) -> None:
        self.now = 5.0

    def __call__(self) -> float:
        return self.now

    def work(self, *seconds: float) -> "Work":
        return Work(self, seconds)


class Work:
    """Takes these seconds in turn, the last one for ever."""

    def __init__(self, clock: Clock, seconds: tuple[float, ...]) -> None:
        self.clock, self.seconds, self.done = clock, seconds, 0

    def __call__(self) -> None:
        self.clock.now += self.seconds[min(self.done, len(self.seconds) - 1)]
        self.done += 1


def test_leading_calls_do_not_count() -> None:
    clock = Clock()
    turns = Turns(clock.work(9.0, 7.0, 1.0, 2.0, 3.0), calls=3, lead=2, clock=clock)
    assert turns() == pytest.approx(2.0)
    np.testing.assert_allclose(turns.calls(warmup=0), [1.0, 2.0, 3.0])


def test_single_calls_are_kept_without_the_warm_up() -> None:
    clock = Clock()
    turns = Turns(clock.work(8.0, 8.0, 0.1, 0.2, 0.3, 0.4), calls=2, lead=0, clock=clock)
    seconds = interleave({"one": turns}, rounds=2, warmup=1)["one"]
    np.testing.assert_allclose(seconds, [0.15, 0.35])
    np.testing.assert_allclose(turns.calls(warmup=1), [0.1, 0.2, 0.3, 0.4])


@pytest.mark.parametrize(("seconds", "calls"), [(0.001, 80), (0.03, 3), (0.5, 1)])
def test_a_turn_has_about_the_length_that_was_asked_for(seconds: float, calls: int) -> None:
    """However long the first calls take."""
    clock = Clock()
    work = clock.work(5.0, 2.0, seconds)
    turns = turns_of(work, 0.1, clock=clock)
    turns()
    assert len(turns.calls(warmup=0)) == calls


def test_nothing_happens_in_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    monkeypatch.setattr("ganport_bench.timing.time.sleep", lambda seconds: events.append(f"{seconds}"))

    def system(name: str) -> float:
        events.append(name)
        return 1.0

    interleave({"a": lambda: system("a"), "b": lambda: system("b")}, rounds=1, warmup=0, pause=0.25)
    assert events == ["0.25", "a", "0.25", "b"]
