"""Times systems against each other: interleaved rounds, in which each has its turn.

A system is a function that does its work once and returns the seconds that it took; `stopwatch` makes one of any
function. Systems that are compared take turns in one process, so that whatever slows the machine for a while (heat,
neighbors, another program) meets them all, and they are compared round by round.
"""

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from random import Random

import numpy as np
import numpy.typing as npt

WARM_CALLS = 4  # the first allocates, the next may still be slow
System = Callable[[], float]
Seconds = npt.NDArray[np.float64]


def stopwatch(work: Callable[[], object], *, calls: int = 1, clock: Callable[[], float] = time.perf_counter) -> System:
    """A system that does `work` `calls` times in a row and returns the seconds of one call.

    Several calls are for work that is short against the clock's own cost, or that needs to get warm after its turn.
    """

    def run() -> float:
        begun = clock()
        for _ in range(calls):
            work()
        return (clock() - begun) / calls

    return run


class Turns:
    """A system whose turn does `work` several times in a row, and which keeps what every call took.

    Args:
        work: What is timed.
        calls: Calls of a turn that count.
        lead: Calls before them that do not: after an idle while threads sleep and caches hold another's data.
        clock: Seconds.
    """

    def __init__(
        self, work: Callable[[], object], *, calls: int, lead: int = 1, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._work, self._calls, self._lead, self._clock = work, calls, lead, clock
        self._turns: list[list[float]] = []

    def __call__(self) -> float:
        """One turn; the seconds of one call, on average."""
        for _ in range(self._lead):
            self._work()
        times = [self._clock()]
        for _ in range(self._calls):
            self._work()
            times.append(self._clock())
        self._turns.append(times)
        return (times[-1] - times[0]) / self._calls

    def calls(self, warmup: int) -> Seconds:
        """Seconds of every single call of all turns but the first `warmup`, float64 [turns * calls]."""
        return np.diff(np.array(self._turns[warmup:])).ravel()


def turns_of(work: Callable[[], object], seconds: float, *, clock: Callable[[], float] = time.perf_counter) -> Turns:
    """Turns of about that many seconds, a fifth of it for getting warm again; runs the work to see how long that is."""
    once = stopwatch(work, clock=clock)
    shortest = min(once() for _ in range(WARM_CALLS))
    calls = max(1, round(0.8 * seconds / shortest))
    return Turns(work, calls=calls, lead=max(1, calls // 4), clock=clock)


def interleave(
    systems: Mapping[str, System], *, rounds: int, warmup: int = 1, pause: float = 0.0, seed: int = 0
) -> dict[str, Seconds]:
    """Run every system once a round and return what each took, float64 [rounds] seconds.

    The order is drawn anew for every other round and turned about in the next, so that none always follows the same
    neighbor, nor is first more often than last. The first `warmup` rounds do not count. Garbage collection is paused
    meanwhile, as `timeit` does it. Before every turn nothing happens for `pause` seconds: threads of the library before
    it, which spin for a while after their work, fall asleep. Rounds that go on with earlier ones have another `seed`,
    or they would repeat the orders of these.
    """
    if not systems or rounds < 1 or warmup < 0:
        raise ValueError(f"{len(systems)} systems, {rounds} rounds, {warmup} for warming up: 1, 1 and 0 or more wanted")
    names, random = list(systems), Random(seed)
    taken: dict[str, list[float]] = {name: [] for name in names}
    with garbage_collection_paused():
        for turn in range(warmup + rounds):
            if turn % 2:
                names.reverse()
            else:
                random.shuffle(names)
            for name in names:
                time.sleep(pause)
                taken[name].append(systems[name]())
    return {name: np.array(taken[name][warmup:]) for name in systems}


@contextmanager
def garbage_collection_paused() -> Iterator[None]:
    """Nothing is collected meanwhile, as `timeit` does it."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
