"""A server under load from end to end: clients that wait, then rates up to the knee and a little beyond."""

from dataclasses import dataclass
from typing import Any

from ganport_bench.command import OnStep
from ganport_bench.errors import BenchError
from ganport_bench.load.effort import Effort
from ganport_bench.load.knee import FACTOR, Bound, Knee, knee_of
from ganport_bench.load.opened import Opened, Target
from ganport_bench.load.probe import probe
from ganport_bench.load.rate_row import RateRow
from ganport_bench.load.rates import ARRIVALS, Rates
from ganport_bench.load.sweep import ConcurrencyRow, sweep
from ganport_bench.serving.worker import Worker

__all__ = ["Load", "measure_load"]

MEDIAN = 50.0
MILLI = 1e3


@dataclass(frozen=True)
class Load:
    """What was found.

    Attributes:
        target: what was loaded.
        opened: what is known of the server.
        concurrency: a row for each number of clients that wait for their answers, a lone one first.
        rates: a row for each rate and kind of arrivals.
        unloaded: median latency of a lone client, seconds.
        capacity: the best rate of clients that wait, good answers a second.
        bound: within which an answer is in time.
    """

    target: str
    opened: Opened
    concurrency: list[ConcurrencyRow]
    rates: list[RateRow]
    unloaded: float
    capacity: float
    bound: Bound

    @property
    def knees(self) -> dict[str, Knee]:
        """By kind of arrivals."""
        return {name: knee_of([row for row in self.rates if row.arrivals == name]) for name in ARRIVALS}

    def to_json(self) -> dict[str, Any]:
        """Its part of the document."""
        return {
            "target": self.target,
            "system": self.opened.system,
            "facts": dict(self.opened.facts),
            "judged": self.opened.judged,
            "no_statistics": self.opened.no_statistics,
            "capacity_per_second": self.capacity,
            "unloaded_p50_ms": MILLI * self.unloaded,
            "knee": {
                "definition": self.bound.definition,
                "bound_ms": MILLI * self.bound.seconds,
                **{name: knee.to_json() for name, knee in self.knees.items()},
            },
            "rates": [row.to_json() for row in self.rates],
            "concurrency": [row.to_json() for row in self.concurrency],
        }


def measure_load(target: Target, effort: Effort, on_step: OnStep, *, bound_seconds: float | None = None) -> Load:
    """Load a server with clients that wait, which tells its capacity, then with rates around that.

    The load is made by a process of its own.

    Args:
        target: the server, which is started where it has to be.
        effort: how long.
        on_step: called with a few words before each step.
        bound_seconds: within which an answer is in time; None: ten times the median latency of a lone client.

    Raises:
        BenchError: the server does not start, does not answer, or ends.
    """
    with target.open(on_step) as opened, Worker("the load generator") as client:
        probe(opened)
        rows = sweep(opened, client, effort, on_step)
        capacity, unloaded = _capacity(opened, rows), rows[0].answers.latency.percentiles[MEDIAN]
        bound = Bound(FACTOR * unloaded if bound_seconds is None else bound_seconds, bound_seconds is not None)
        rates = Rates(opened, client, effort, capacity, bound.seconds, on_step).rows()
        return Load(target.text, opened, rows, rates, unloaded, capacity, bound)


def _capacity(opened: Opened, rows: list[ConcurrencyRow]) -> float:
    if not all(row.answers.latency.samples for row in rows):
        told = next((row.answers.faults for row in rows if row.answers.faults), "no answer came in time")
        raise BenchError(f"{opened.system} answered nothing in a whole load: {told}")
    return max(row.answers.per_second for row in rows)
