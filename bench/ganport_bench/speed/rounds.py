"""Rounds of turns: everyone, then the best and those with too wide an interval, until none is left or time is over."""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ganport_bench.speed.effort import Effort
from ganport_bench.timing import Estimate, Seconds, System, interleave, median

__all__ = ["WARMUP", "Taken", "is_wide", "paired", "take_rounds"]

WARMUP = 1

Numbers = npt.NDArray[np.int64]
Best = Callable[[Mapping[str, "Taken"]], Collection[str]]


@dataclass(frozen=True)
class Taken:
    """What a system's turns took.

    Attributes:
        seconds: of a call, float64 [rounds].
        rounds: the number of each round, int64 [rounds]: who took part in the same one is compared there.
    """

    seconds: Seconds
    rounds: Numbers

    def then(self, more: "Taken") -> "Taken":
        """These rounds, and later ones."""
        return Taken(np.concatenate([self.seconds, more.seconds]), np.concatenate([self.rounds, more.rounds]))

    def is_wide(self, share: float) -> bool:
        """Whether the interval of its speed is wider than a share of it."""
        return is_wide(median(1 / self.seconds), share)


def is_wide(estimate: Estimate, share: float) -> bool:
    """Whether an interval is wider than a share of its value, which is above 0."""
    return estimate.high - estimate.low > share * estimate.value


def paired(one: Taken, other: Taken) -> tuple[Seconds, Seconds]:
    """The seconds of both in the rounds that both took part in, each float64 [common rounds]."""
    _, mine, theirs = np.intersect1d(one.rounds, other.rounds, assume_unique=True, return_indices=True)
    return one.seconds[mine], other.seconds[theirs]


def take_rounds(
    systems: Mapping[str, System], effort: Effort, best: Best, clock: Callable[[], float] = time.monotonic
) -> dict[str, Taken]:
    """Let everyone take the rounds that are due, and then those that need it more of them, together.

    Drift of the machine meets all alike, for the best are always among them: what is compared with whom stays
    comparable round by round.

    Args:
        systems: everyone; more than none.
        effort: how many rounds, and until when.
        best: names, given all rounds so far, of those who stay to the end.
        clock: seconds.
    """
    end = clock() + effort.batch_seconds
    first = interleave(systems, rounds=effort.rounds, warmup=WARMUP, pause=effort.pause_seconds)
    taken = {name: Taken(seconds, _numbers(0, seconds)) for name, seconds in first.items()}
    count = effort.rounds
    while clock() < end and (wide := {name for name, one in taken.items() if one.is_wide(effort.wide)}):
        names = wide.union(best(taken))
        among = {name: system for name, system in systems.items() if name in names}
        more = interleave(among, rounds=effort.more_rounds, warmup=0, pause=effort.pause_seconds, seed=count)
        taken |= {name: taken[name].then(Taken(seconds, _numbers(count, seconds))) for name, seconds in more.items()}
        count += effort.more_rounds
    return taken


def _numbers(first: int, seconds: npt.NDArray[Any]) -> Numbers:
    return np.arange(first, first + len(seconds), dtype=np.int64)
