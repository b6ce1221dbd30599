"""Latency against offered rate: requests due at times of their own, so that a slow answer delays nothing.

Latency counts from when a request was due, to the tick of 0.2 ms in which the load generator looks: a server that
stands still is asked all the same, and whoever would have waited is counted.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from ganport_bench.command import OnStep
from ganport_bench.load.effort import Effort
from ganport_bench.load.opened import Opened
from ganport_bench.load.rate_row import RateRow, rate_row
from ganport_bench.load.sweep import timed_by_server
from ganport_bench.serving.arrivals import constant, poisson
from ganport_bench.serving.open_loop import open_loop
from ganport_bench.serving.outcome import Outcome
from ganport_bench.serving.worker import Worker

__all__ = ["ARRIVALS", "Rates"]

ARRIVALS: dict[str, Callable[[float, float], NDArray[np.float64]]] = {"poisson": poisson, "constant": constant}
TICK = 0.0002  # seconds
LEAST_CONNECTIONS = 64
TRIES = 2  # of a rate at which the load generator fell behind


class Rates:
    """Offers rates to a server.

    Args:
        opened: the server.
        client: where the load is made.
        effort: which rates, how long.
        capacity: the closed loop's best rate, requests a second.
        bound: seconds within which an answer is in time.
        on_step: called with a few words before each rate.
    """

    def __init__(
        self, opened: Opened, client: Worker, effort: Effort, capacity: float, bound: float, on_step: OnStep
    ) -> None:
        self._opened, self._client, self._effort = opened, client, effort
        self._capacity, self._bound, self._on_step = capacity, bound, on_step

    def rows(self) -> list[RateRow]:
        """Rising rates, both kinds of arrivals at each, until a few in a row were not held."""
        return list(self._rising())

    def _rising(self) -> Iterator[RateRow]:
        missed = dict.fromkeys(ARRIVALS, 0)
        for fraction in self._effort.fractions:
            for arrivals in [name for name, times in missed.items() if times < self._effort.beyond]:
                row = self._valid_row(arrivals, fraction * self._capacity)
                missed[arrivals] = 0 if row.is_held else missed[arrivals] + 1
                yield row

    def _valid_row(self, arrivals: str, rate: float) -> RateRow:
        """A rate's row; where the load generator falls behind, another try, and the last one's, which says so."""
        for _ in range(TRIES):
            row = self._row(arrivals, rate)
            if not row.void:
                break
        return row

    def _row(self, arrivals: str, rate: float) -> RateRow:
        self._on_step(f"{rate:,.0f} requests a second, {arrivals} arrivals")
        effort = self._effort
        seconds = effort.lead_seconds + min(max(effort.rate_seconds, effort.samples / rate), effort.most_rate_seconds)
        due = ARRIVALS[arrivals](rate, seconds)
        # those that arrive within a second; who waits longer than that does so behind a server that is not held
        connections = min(max(math.ceil(rate), LEAST_CONNECTIONS), effort.connections)

        def load() -> Outcome:
            opened = self._opened
            return self._client(open_loop, opened.endpoint, opened.judge, due, connections=connections, tick=TICK)

        outcome, server = timed_by_server(self._opened, load)
        return rate_row(
            outcome,
            server,
            arrivals=arrivals,
            offered=len(due) / seconds,
            capacity=self._capacity,
            bound=self._bound,
            begin=effort.lead_seconds,
            end=seconds,
            connections=connections,
        )
