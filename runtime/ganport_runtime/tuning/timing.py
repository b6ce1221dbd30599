"""Times systems in interleaved rounds, in which each has its turn, and tells a lead from noise."""

import gc
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

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

    `lead` calls before those that count do not: after an idle while threads sleep and caches hold another's data.
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


PAUSE_SECONDS = 0.003  # between turns: threads of the plan before go on spinning for a millisecond
ROUNDS = 9  # the fewest after which a lead can be certain
MOST_ROUNDS = 60
MISTAKES = 0.005  # how often an interval may miss the ratio; it is looked at after every round, so this is small
FAR_ROUNDS, FAR = 3, 1.25  # a plan that was slower by so much in each of three rounds gets no more turns
EQUAL = 1.015  # plans that cannot differ by more get no more turns
MAYBE = 1.1  # a plan whose median is further behind is not taken for its fewer settings


@dataclass(frozen=True)
class Lead:
    """How many times as fast one plan is as another: the median of the rounds' ratios, and its interval."""

    ratio: float
    low: float
    high: float
    rounds: int

    @property
    def is_certain(self) -> bool:
        """Whether the interval lies above 1, or the lead was large in every round."""
        return (self.rounds >= ROUNDS and self.low > 1) or (self.rounds >= FAR_ROUNDS and self.low > FAR)

    @property
    def is_settled(self) -> bool:
        """Whether more rounds would change nothing: the lead is certain, or there is none to speak of."""
        return self.is_certain or (self.rounds >= ROUNDS and self.low > 1 / EQUAL and self.high < EQUAL)

    @property
    def may_be_noise(self) -> bool:
        """Whether the slower plan may be as fast."""
        return not self.is_certain and self.ratio <= MAYBE


class Race:
    """Plans that take turns.

    `systems` holds each plan's turn at each bucket, `rough` the seconds of one call until there are rounds. Over the
    buckets of the `goal` a plan's speed is the geometric mean.
    """

    def __init__(
        self, systems: Mapping[str, Mapping[int, System]], rough: Mapping[str, Mapping[int, float]], goal: Iterable[int]
    ) -> None:
        self._systems, self._rough, self._goal = systems, rough, tuple(goal)
        self._taken: dict[str, dict[int, list[float]]] = {
            name: {bucket: [] for bucket in turns} for name, turns in systems.items()
        }
        self.contenders = tuple(name for name, turns in systems.items() if set(self._goal) <= turns.keys())
        self.rounds = 0

    def run(self, has_time: Callable[[], bool], on_round: Callable[[int, int], None] = lambda *_: None) -> None:
        """Rounds until it is certain who is ahead, or `has_time`, asked before each, says no.

        In the first rounds every plan has its turns at all of its buckets, then those that may be the fastest over all
        of them, whose lead is not yet certain. `on_round` gets the round's number, from 1, and how many take part.
        """
        ahead = self.contenders
        with garbage_collection_paused():
            while self.rounds < MOST_ROUNDS and has_time() and (len(ahead) > 1 or self.rounds < FAR_ROUNDS):
                others = [name for name in self._systems if name not in self.contenders] if self.rounds < ROUNDS else []
                on_round(self.rounds + 1, len(ahead) + len(others))
                self._round([*ahead, *others])
                leader = max(ahead, key=self.score)
                rivals = (name for name in ahead if name != leader and not self.lead(leader, name).is_settled)
                ahead = (leader, *rivals)

    def score(self, name: str) -> float:
        """The logarithm of a plan's images/s over the buckets that count, up to a constant."""
        return -sum(math.log(self.seconds(name, bucket)) for bucket in self._goal) / len(self._goal)

    def seconds(self, name: str, bucket: int) -> float:
        """The median of a plan's rounds at a bucket, or the rough figure without rounds."""
        taken = self._taken[name].get(bucket)
        return float(np.median(taken)) if taken else self._rough[name][bucket]

    def lead(self, name: str, other: str) -> Lead:
        """How far a contender is ahead of another, by the rounds in which both took part."""
        rounds = min(len(self._taken[one][self._goal[0]]) for one in (name, other))
        if rounds == 0:
            ratio = math.exp(self.score(name) - self.score(other))
            return Lead(ratio, ratio, ratio, 0)
        logs = [
            np.log(self._taken[other][bucket][:rounds]) - np.log(self._taken[name][bucket][:rounds])
            for bucket in self._goal
        ]
        return Lead(*median_interval(np.exp(np.mean(logs, axis=0))), rounds)

    def choose(self, settings: Mapping[str, int]) -> tuple[str, str | None, Lead | None]:
        """The plan for all buckets, the best of the others, and the lead over that.

        Among the plans that may be the fastest the one with the fewest settings is taken, of those the fastest.
        """
        leader = max(self.contenders, key=self.score)
        as_good = [name for name in self.contenders if name == leader or self.lead(leader, name).may_be_noise]
        chosen = min(as_good, key=lambda name: (settings[name], -self.score(name)))
        others = [name for name in self.contenders if name != chosen]
        runner_up = max(others, key=self.score, default=None)
        return chosen, runner_up, None if runner_up is None else self.lead(chosen, runner_up)

    def _round(self, names: list[str]) -> None:
        random = Random(self.rounds)
        every = {bucket for name in names for bucket in self._systems[name]}
        for bucket in sorted(every) if self.rounds < ROUNDS else self._goal:
            present = [name for name in names if bucket in self._systems[name]]
            random.shuffle(present)
            for name in present:
                time.sleep(PAUSE_SECONDS)
                self._taken[name][bucket].append(self._systems[name][bucket]())
        self.rounds += 1


def median_interval(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """The median and an interval that misses that of the values' distribution in 0.5 % of the cases at most.

    By ranks: k of n values lie below the median of any distribution with the probability of k heads in n throws. With
    fewer than 9 values no such interval exists, and it is the smallest and the largest value.
    """
    ordered: Seconds = np.sort(values)
    count, below, rank = len(ordered), 0.0, 0
    while rank < count // 2:
        below += math.comb(count, rank) / 2**count
        if 2 * below > MISTAKES:
            break
        rank += 1
    low, high = ordered[max(rank - 1, 0)], ordered[count - max(rank, 1)]
    return float(np.median(ordered)), float(low), float(high)
