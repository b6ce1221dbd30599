"""A server's resident memory over very many requests in a row."""

import time
from concurrent.futures import wait
from dataclasses import dataclass

import numpy as np

from ganport_bench.client.loops import closed_loop
from ganport_bench.client.outcome import Outcome
from ganport_bench.serving.effort import CLIENTS
from ganport_bench.serving.stage import Stage
from ganport_bench.serving.systems import Running
from ganport_bench.serving.usage import awake, resident_bytes
from ganport_bench.timing import Seconds

__all__ = ["Memory", "measure_memory"]

SAMPLE_SECONDS = 0.1
TENTHS = 10


@dataclass(frozen=True)
class Memory:
    """What a server held.

    Attributes:
        precision: that was asked for.
        running: the server.
        outcome: of the requests.
        resident: bytes, one sample after another, float64 [samples].
    """

    precision: str
    running: Running
    outcome: Outcome
    resident: Seconds

    @property
    def warm(self) -> float:
        """Bytes, the median over the second tenth of the time."""
        return self._tenth(1)

    @property
    def last(self) -> float:
        """Bytes, the median over the last tenth."""
        return self._tenth(TENTHS - 1)

    @property
    def growth(self) -> float:
        """The last tenth over the second one."""
        return self.last / self.warm

    def _tenth(self, index: int) -> float:
        return float(np.median(np.array_split(self.resident, TENTHS)[index]))


def measure_memory(stage: Stage, running: Running, requests: int) -> Memory:
    """Send that many requests from many closed-loop clients and look at the server's memory all the while."""
    samples: list[int] = []
    with awake(running.pid):
        load = stage.client.begin(closed_loop, running.endpoint, stage.expected, clients=CLIENTS, requests=requests)
        begun = time.monotonic()
        while not load.done() or len(samples) < TENTHS:
            samples.append(resident_bytes(running.pid))
            wait([load], SAMPLE_SECONDS - (time.monotonic() - begun) % SAMPLE_SECONDS)
        outcome = stage.client.result(load)
    return Memory(stage.precision, running, outcome, np.array(samples, np.float64))
