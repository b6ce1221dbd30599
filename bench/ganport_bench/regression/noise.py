"""How far two runs lie apart by chance: within each by its intervals, between them by what ganport has no part in.

The interval of a ratio new / old is put together on a logarithmic scale of the distances of both intervals' ends from
their values (MOVER, Zou and Donner 2008), as errors that have nothing to do with each other: its lower end of old's
upper and new's lower, its upper end of the other two. An interval of one run does not know how runs differ (where
memory lies, what else the machine does): peers, bare sessions and other people's imports are the same code in both, so
that what their ratios scatter beyond their own intervals is added. What they have in common is not taken away: a
machine that is slower as a whole is slower. The more ratios are judged, the wider all of them are (Bonferroni), so that
all intervals together hold with 95 %.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, median

from ganport_bench.regression.documents import Figure

__all__ = ["LEAST_CONTROLS", "Noise", "noise_of"]

CONFIDENCE = 0.95
LEAST_CONTROLS = 5
DEVIATIONS = 1.4826  # standard deviations in a median absolute deviation of normal errors
USUAL = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)  # deviations in the intervals that documents have

Pair = tuple[Figure, Figure]


@dataclass(frozen=True)
class Noise:
    """What is to be expected of a ratio.

    Attributes:
        scatter: between the runs, a standard deviation of the ratio's natural logarithm.
        deviations: that an interval takes to either side.
    """

    scatter: float = 0.0
    deviations: float = USUAL

    def ratio(self, old: Figure, new: Figure) -> Figure:
        """New over old, with its interval."""
        value = new.value / old.value
        down = self._width(math.log(new.value / new.low), math.log(old.high / old.value))
        up = self._width(math.log(new.high / new.value), math.log(old.value / old.low))
        return Figure(value, value * math.exp(-down), value * math.exp(up))

    def _width(self, *distances: float) -> float:
        return self.deviations * math.hypot(*(distance / USUAL for distance in distances), self.scatter)


def noise_of(controls: Sequence[Pair], judged: int) -> Noise:
    """The noise between two runs.

    Args:
        controls: old and new of what ganport has no part in; fewer than `LEAST_CONTROLS` tell nothing.
        judged: how many ratios there are.
    """
    deviations = NormalDist().inv_cdf(1 - (1 - CONFIDENCE) / 2 / max(1, judged))
    return Noise(_scatter(controls) if len(controls) >= LEAST_CONTROLS else 0.0, deviations)


def _scatter(controls: Sequence[Pair]) -> float:
    """By medians, so that a few of them that did change do not count; beyond what their own intervals explain."""
    ratios = [Noise().ratio(*pair) for pair in controls]
    logarithms = [math.log(ratio.value) for ratio in ratios]
    middle = median(logarithms)
    seen = DEVIATIONS * median(abs(one - middle) for one in logarithms)
    expected = median(math.log(ratio.high / ratio.low) / 2 / USUAL for ratio in ratios)
    return math.sqrt(max(0.0, seen**2 - expected**2))
