"""Of several ways to do the same kind of work the one that does the most of it a second."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ganport_bench.timing import Estimate, System, interleave, median

__all__ = ["Fastest", "fastest"]

PAUSE_SECONDS = 0.03


class Fastest(NamedTuple):
    """The fastest way.

    Attributes:
        per_second: how much work, the median over rounds.
        how: its name.
        others: the same median of the other ways, by name.
    """

    per_second: Estimate
    how: str
    others: Mapping[str, float]


def fastest(turns: Mapping[str, System], work: Mapping[str, int], *, rounds: int) -> Fastest:
    """Time every way in turns.

    Args:
        turns: by name, what returns the seconds of a call.
        work: by name, how much a call does.
        rounds: turns of each.
    """
    seconds = interleave(turns, rounds=rounds, pause=PAUSE_SECONDS)
    rates = {name: work[name] / taken for name, taken in seconds.items()}
    medians = {name: float(np.median(rate)) for name, rate in rates.items()}
    how = max(medians, key=medians.__getitem__)
    return Fastest(median(rates[how]), how, {name: rate for name, rate in medians.items() if name != how})
