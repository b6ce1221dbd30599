"""Figures of timed systems: medians and ratios with their intervals, percentiles, images per second.

`interleave` lets systems take turns in rounds (it is the tuner's own); what is compared is compared round by round.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ganport_runtime.tuning.timing import Seconds, System, Turns, interleave, stopwatch, turns_of

__all__ = ["Seconds", "System", "Turns", "interleave", "stopwatch", "turns_of"]  # the tuner's own

ONE_IN = 20  # intervals may miss the true median: 95 %
PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9)
BEYOND = 10  # samples above a percentile, or one that is slow by accident would be it
TURN_SECONDS = 0.05  # a system's turn lasts about this long: far above the clock's own cost
PAUSE_SECONDS = 0.03  # before a turn: PyTorch's threads spin for a while after their work
PYTORCH, OURS = "PyTorch, eager", "ganport"

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


def median(values: Seconds) -> Estimate:
    """The median and its 95 % interval, by ranks.

    Between the (k+1)-th smallest and the (k+1)-th largest of n values lies the true median, with a probability of
    1 - 2 P(Binomial(n, 1/2) <= k), whatever the distribution. k is the largest for which that is at least 95 %. Fewer
    than six values are too few for it: then the interval is from the smallest to the largest (94 % of five, 75 % of
    three).
    """
    ordered = np.sort(values)
    count, cut = len(ordered), 0
    ways = missed = 1  # of 2^n equally likely ones: those with exactly, and with at most, `cut` values below the median
    while 2 * ONE_IN * (missed + ways * (count - cut) // (cut + 1)) <= 2**count:
        ways = ways * (count - cut) // (cut + 1)
        missed, cut = missed + ways, cut + 1
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


def least_samples(percent: float) -> int:
    """How many answers a percentile needs: 20 for p50, 100 for p90, 1,000 for p99, 10,000 for p99.9."""
    return math.ceil(round(BEYOND / (1 - percent / 100), 6))


@dataclass(frozen=True)
class LatencyPercentiles:
    """Of one load."""

    samples: int  # how many answers
    percentiles: Mapping[float, float]  # of all answers, however few, seconds; empty where there is none

    @property
    def known(self) -> dict[float, float]:
        """The percentiles for which there are answers enough, seconds."""
        return {percent: value for percent, value in self.percentiles.items() if self.samples >= least_samples(percent)}

    def to_json(self) -> dict[str, Any]:
        """Milliseconds, `p50` and so on, where samples allow."""
        return {f"p{percent:g}": 1e3 * value for percent, value in self.known.items()}


def latency_of(seconds: Seconds) -> LatencyPercentiles:
    """Of latencies, float64 [answers] seconds."""
    if not len(seconds):
        return LatencyPercentiles(0, {})
    values = np.percentile(seconds, PERCENTILES)
    return LatencyPercentiles(len(seconds), dict(zip(PERCENTILES, map(float, values), strict=True)))


@dataclass(frozen=True)
class Throughput:
    """One system at one batch size."""

    system: str  # its name
    batch: int  # images a call
    images_per_second: Estimate  # median over rounds with its 95 % interval
    speedup: Estimate  # times as fast as PyTorch in the same rounds, with its 95 % interval


def compare(run: Path, bundle: Path, *, rounds: int = 15, batches: Sequence[int] = (1, 8, 64)) -> list[Throughput]:
    """Measure the run's generator in PyTorch and the bundle made of it, on this machine.

    Both draw their own latents in every call and end with finished pixels, uint8 in the computer's memory; both take
    as many threads as they choose.
    """
    from ganport_runtime import Generator

    rows = []
    with Generator.open(bundle) as generator:
        draws: dict[str, Draw] = {PYTORCH: _pytorch_draw(run), OURS: generator.sample}
        for batch in batches:
            systems = {name: turns_of(partial(draw, batch), TURN_SECONDS) for name, draw in draws.items()}
            seconds = interleave(systems, rounds=rounds, pause=PAUSE_SECONDS)
            rows += [
                Throughput(name, batch, median(batch / taken), ratio(seconds[PYTORCH], taken))
                for name, taken in seconds.items()
            ]
    return rows


def _pytorch_draw(run: Path) -> Draw:
    import torch
    from ganport_export.trace import GeneratorGraph
    from ganport_train.checkpoints import load_networks

    networks = load_networks(run)
    pixels = GeneratorGraph(networks.generator)

    @torch.inference_mode()
    def draw(count: int) -> object:
        return pixels(torch.randn(count, networks.config.latent_dim)).numpy()

    return draw
