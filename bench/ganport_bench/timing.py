"""Times systems against each other: interleaved rounds, medians, their intervals, images per second.

A system is a function that does its work once and returns the seconds that it took; `stopwatch` makes one of any
function. Systems that are compared take turns in one process, so that whatever slows the machine for a while (heat,
neighbors, another program) meets them all, and they are compared round by round.
"""

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import comb
from pathlib import Path
from random import Random

import numpy as np
import numpy.typing as npt

CONFIDENCE = 0.95
WARM_CALLS = 4  # the first allocates, the next may still be slow
TURN_SECONDS = 0.05  # a system's turn lasts about this long: far above the clock's own cost
PAUSE_SECONDS = 0.03  # before a turn: PyTorch's threads spin for a while after their work
PYTORCH = "PyTorch, eager"
OURS = "ganport"

System = Callable[[], float]
Seconds = npt.NDArray[np.float64]
Draw = Callable[[int], object]  # makes that many images


@dataclass(frozen=True)
class Estimate:
    """A median over rounds and its 95 % interval, all in one unit."""

    value: float
    low: float
    high: float

    def scaled(self, factor: float, offset: float = 0.0) -> "Estimate":
        """Every number times `factor` (above 0), plus `offset`: another unit."""
        return Estimate(*(factor * number + offset for number in (self.value, self.low, self.high)))


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
    with _garbage_collection_paused():
        for turn in range(warmup + rounds):
            if turn % 2:
                names.reverse()
            else:
                random.shuffle(names)
            for name in names:
                time.sleep(pause)
                taken[name].append(systems[name]())
    return {name: np.array(taken[name][warmup:]) for name in systems}


def median(values: Seconds) -> Estimate:
    """The median and its 95 % interval, by ranks.

    Between the (k+1)-th smallest and the (k+1)-th largest of n values lies the true median, with a probability of
    1 - 2 P(Binomial(n, 1/2) <= k), whatever the distribution. k is the largest for which that is at least 95 %. Fewer
    than six values are too few for it: then the interval is from the smallest to the largest (94 % of five, 75 % of
    three).
    """
    ordered = np.sort(values)
    count, missed, cut = len(ordered), 1, 0
    while 2 * (missed := missed + comb(count, cut + 1)) <= (1 - CONFIDENCE) * 2**count:
        cut += 1
    return Estimate(float(np.median(ordered)), float(ordered[cut]), float(ordered[-1 - cut]))


def ratio(seconds: Seconds, base: Seconds) -> Estimate:
    """How many times as long as `base`: the median of the rounds' own ratios."""
    return median(seconds / base)


def difference(seconds: Seconds, base: Seconds) -> Estimate:
    """How many seconds longer than `base`: the median of the rounds' own differences."""
    return median(seconds - base)


def is_wide(estimate: Estimate, share: float) -> bool:
    """Whether an interval is wider than a share of its value, which is above 0."""
    return estimate.high - estimate.low > share * estimate.value


@contextmanager
def _garbage_collection_paused() -> Iterator[None]:
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@dataclass(frozen=True)
class Throughput:
    """One system at one batch size.

    Attributes:
        system: its name.
        batch: images a call.
        images_per_second: median over rounds with its 95 % interval.
        speedup: times as fast as PyTorch in the same rounds, with its 95 % interval.
    """

    system: str
    batch: int
    images_per_second: Estimate
    speedup: Estimate


def compare(run: Path, bundle: Path, *, rounds: int = 15, batches: Sequence[int] = (1, 8, 64)) -> list[Throughput]:
    """Measure the run's generator in PyTorch and the bundle made of it, on this machine.

    Both draw their own latents in every call and end with finished pixels, uint8 in the computer's memory; both take
    as many threads as they choose.

    Args:
        run: a run directory.
        bundle: a bundle exported from it.
        rounds: turns of every system at every batch size.
        batches: images a call.
    """
    from ganport_runtime import Generator

    with Generator.open(bundle) as generator:
        draws: dict[str, Draw] = {PYTORCH: _pytorch_draw(run), OURS: generator.sample}
        return [row for batch in batches for row in _compare_at(draws, batch, rounds)]


def _pytorch_draw(run: Path) -> Draw:
    import torch
    from ganport_export.wrap import GeneratorGraph
    from ganport_train.checkpoints import load_networks

    networks = load_networks(run)
    pixels = GeneratorGraph(networks.generator)

    @torch.inference_mode()
    def draw(count: int) -> object:
        return pixels(torch.randn(count, networks.config.latent_dim)).numpy()

    return draw


def _compare_at(draws: Mapping[str, Draw], batch: int, rounds: int) -> list[Throughput]:
    systems = {name: turns_of(partial(draw, batch), TURN_SECONDS) for name, draw in draws.items()}
    seconds = interleave(systems, rounds=rounds, pause=PAUSE_SECONDS)
    return [_row(name, batch, taken, seconds[PYTORCH]) for name, taken in seconds.items()]


def _row(name: str, batch: int, taken: Seconds, peer: Seconds) -> Throughput:
    speed, speedup = batch / taken, ratio(peer, taken)
    return Throughput(name, batch, median(speed), speedup)
