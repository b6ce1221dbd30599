"""When a closed loop has come to rest: perf_analyzer's rule.

The load is cut into windows. It is stable once the largest of the last three windows' throughputs is no more than 10 %
above the smallest, and the same holds for their mean latencies. The figures are those of these three windows together.
"""

from dataclasses import dataclass

import numpy as np

from ganport_bench.serving.outcome import Outcome

__all__ = ["WINDOWS", "Stability", "Window"]

WINDOWS = 3
THRESHOLD = 0.1


@dataclass(frozen=True)
class Window:
    """Some seconds of a load.

    Attributes:
        per_second: good answers.
        mean_latency: of them, seconds; NaN where there is none.
    """

    per_second: float
    mean_latency: float


@dataclass(frozen=True)
class Stability:
    """The rule, which says when to stop and then what counts.

    Attributes:
        window_seconds: of one window.
        most_windows: how many there are at most.
    """

    window_seconds: float
    most_windows: int

    @property
    def most_seconds(self) -> float:
        """Of a load that does not come to rest."""
        return self.window_seconds * self.most_windows

    def __call__(self, outcome: Outcome) -> bool:
        """Whether the load has come to rest in the windows that are over."""
        return self.trials(outcome) is not None

    def trials(self, outcome: Outcome) -> int | None:
        """The number of the first window with which the load was stable, or None."""
        windows = self.windows(outcome)
        ends = range(WINDOWS, len(windows) + 1)
        return next((end for end in ends if _is_stable(windows[end - WINDOWS : end])), None)

    def windows(self, outcome: Outcome) -> list[Window]:
        """All windows that are over, oldest first."""
        whole = min(self.most_windows, int(outcome.seconds / self.window_seconds))
        return [self._window(outcome, number) for number in range(whole)]

    def interval(self, outcome: Outcome) -> tuple[float, float]:
        """Seconds where what counts begins and ends: the three windows of rest, or the last three."""
        trials = self.trials(outcome) or self.most_windows
        return max(0, trials - WINDOWS) * self.window_seconds, trials * self.window_seconds

    def _window(self, outcome: Outcome, number: int) -> Window:
        begin, end = number * self.window_seconds, (number + 1) * self.window_seconds
        seconds = (outcome.answered - outcome.due)[outcome.came(begin, end)]
        return Window(outcome.rate(begin, end), float(np.mean(seconds)) if len(seconds) else np.nan)


def _is_stable(windows: list[Window]) -> bool:
    rates = [window.per_second for window in windows]
    latencies = [window.mean_latency for window in windows]
    return min(rates) > 0 and all(max(values) <= (1 + THRESHOLD) * min(values) for values in (rates, latencies))
