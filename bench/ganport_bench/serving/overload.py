"""Three times as many requests as a server can answer, at times of their own: what it does with them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ganport_runtime.buckets import TOP
from numpy.typing import NDArray

from ganport_bench.client.loops import closed_loop, open_loop, poisson, slowness
from ganport_bench.client.outcome import OK, REFUSED, Outcome
from ganport_bench.errors import BenchError
from ganport_bench.serving.effort import CLIENTS, Effort
from ganport_bench.serving.stage import Stage
from ganport_bench.serving.systems import Running
from ganport_bench.serving.usage import Cpu, awake, cpu_of
from ganport_bench.timing import Estimate, Seconds, median

__all__ = ["TIMES", "Overload", "measure_overload"]

TIMES = 3.0  # of its capacity
MORE_CLIENTS = 4 * CLIENTS  # whether its capacity needs more of them
SPARE = 512  # connections beyond those whose requests may wait: refusals are in the air too
LEAD_SECONDS = 1.0  # until the queue is full


@dataclass(frozen=True)
class Overload:
    """One server at three times its capacity.

    Attributes:
        precision: that was asked for.
        running: the server.
        peaks: images a second in closed loops before and after, by the number of clients.
        offered: requests a second.
        max_queue: images that may wait in the server.
        outcome: of the load.
        cpu: that the server used meanwhile.
        seconds: for how long requests were due.
    """

    precision: str
    running: Running
    peaks: Mapping[int, Sequence[float]]
    offered: float
    max_queue: int
    outcome: Outcome
    cpu: Cpu
    seconds: float

    @property
    def peak(self) -> float:
        """Images a second with the number of clients that does best, before and after taken together.

        The best of single measurements would be the luckiest one: of a machine that others share, 10 % above the usual.
        """
        return max(float(np.mean(rates)) for rates in self.peaks.values())

    @property
    def each_second(self) -> Seconds:
        """Images in every second once the queue is full, float64 [seconds]."""
        whole = int(self.seconds - LEAD_SECONDS)
        return np.array([self.outcome.rate(LEAD_SECONDS + at, LEAD_SECONDS + at + 1) for at in range(whole)])

    @property
    def images_per_second(self) -> Estimate:
        """The median over seconds and its interval."""
        return median(self.each_second)

    @property
    def accepted(self) -> Seconds:
        """Seconds of each answer with an image, from when it was due."""
        return self.outcome.latencies(OK)

    @property
    def refused(self) -> Seconds:
        """Seconds of each refusal, from when it was due."""
        return self.outcome.latencies(*REFUSED)

    @property
    def passed(self) -> NDArray[np.int64]:
        """Images that were answered while each accepted request waited, from when it was due, its own among them.

        What the queue bounds is this number; the seconds follow from it and from how fast the machine is meanwhile.
        """
        good = self.outcome.status == OK
        answered = np.sort(self.outcome.answered[good])
        until = np.searchsorted(answered, self.outcome.answered[good], side="right")
        passed: NDArray[np.int64] = until - np.searchsorted(answered, self.outcome.due[good], side="right")
        return passed

    @property
    def bound(self) -> int:
        """The most images that may pass: a full queue, the batch that runs, one more for the way there."""
        return self.max_queue + 2 * TOP

    @property
    def slowness(self) -> str:
        """Why the load generator was not up to it, or empty."""
        return slowness(self.outcome)

    @property
    def lost(self) -> int:
        """Requests without exactly one answer, and answers that are neither an image nor a refusal."""
        strange = sum(count for status, count in self.outcome.statuses().items() if status not in (OK, *REFUSED))
        return sum(self.outcome.lost.values()) + sum(self.outcome.wrong.values()) + strange


def measure_overload(stage: Stage, running: Running, effort: Effort, max_queue: int) -> Overload:
    """Find a server's capacity, offer three times as much, and look at its capacity again.

    Args:
        stage: whose client makes the load.
        running: the server.
        effort: how long.
        max_queue: images that may wait in the server.

    Raises:
        BenchError: the server gives no image.
    """
    with awake(running.pid):
        before = {clients: _peak(stage, running, effort, clients) for clients in (CLIENTS, MORE_CLIENTS)}
        offered = TIMES * max(before.values())
        due = poisson(offered, effort.overload_seconds)
        connections = max_queue + SPARE
        used = cpu_of(running.pid)
        outcome = stage.client(open_loop, running.endpoint, stage.expected, due, connections=connections)
        used = cpu_of(running.pid) - used
        peaks = {clients: (rate, _peak(stage, running, effort, clients)) for clients, rate in before.items()}
    return Overload(stage.precision, running, peaks, offered, max_queue, outcome, used, effort.overload_seconds)


def _peak(stage: Stage, running: Running, effort: Effort, clients: int) -> float:
    seconds = effort.lead_seconds + effort.peak_seconds
    outcome = stage.client(closed_loop, running.endpoint, stage.expected, clients=clients, seconds=seconds)
    rate = outcome.rate(effort.lead_seconds, seconds)
    if rate == 0:  # a batch takes longer than that
        rate = len(outcome.latencies(OK)) / outcome.seconds
    if rate == 0:
        raise BenchError(f"{running.name} gave {clients} clients no image: {outcome.faults() or 'all were refused'}")
    return rate
