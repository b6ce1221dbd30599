"""One turn of a server: awake while the client loads it, with what both used meanwhile."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ganport_bench.client.outcome import OK, Outcome, nothing
from ganport_bench.errors import BenchError
from ganport_bench.serving.systems import Running
from ganport_bench.serving.usage import Cpu, awake, cpu_of
from ganport_bench.timing import Seconds

__all__ = ["LoadTurns", "Turn"]


@dataclass(frozen=True)
class Turn:
    """What happened in one turn.

    Attributes:
        outcome: of the load.
        cpu: that the server used.
    """

    outcome: Outcome
    cpu: Cpu


class LoadTurns:
    """A system of `interleave`: loads a server and returns the seconds of one image; keeps every turn.

    Args:
        running: the server.
        load: makes the load.
        begin: seconds of a turn that do not count.
        end: where what counts ends.
    """

    def __init__(self, running: Running, load: Callable[[], Outcome], begin: float, end: float) -> None:
        self.running = running
        self._load, self._begin, self._end = load, begin, end
        self.turns: list[Turn] = []

    def __call__(self) -> float:
        """One turn; seconds of one image, infinite where none came."""
        with awake(self.running.pid):
            before = cpu_of(self.running.pid)
            outcome = self._try()
            self.turns.append(Turn(outcome, cpu_of(self.running.pid) - before))
        rate = outcome.rate(self._begin, self._end)
        return 1 / rate if rate else float("inf")

    def _try(self) -> Outcome:
        try:
            return self._load()
        except BenchError as error:  # of one server; the others go on
            return nothing(str(error))

    def latencies(self, turn: Turn) -> Seconds:
        """Of the answers that count, seconds."""
        return turn.outcome.latencies(OK, begin=self._begin, end=self._end)

    def percentiles(self, warmup: int, percent: float) -> Seconds:
        """A percentile of each turn's latencies but the first `warmup` ones', float64 [turns] seconds."""
        return np.array([_percentile(self.latencies(turn), percent) for turn in self.turns[warmup:]])


def _percentile(seconds: Seconds, percent: float) -> float:
    return float(np.percentile(seconds, percent)) if len(seconds) else float("inf")
