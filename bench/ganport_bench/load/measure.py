"""The load of one server from start to end: clients that wait, then rates up to the knee and a little beyond."""

from dataclasses import dataclass
from typing import Any

from ganport_bench.client.processes import Worker
from ganport_bench.effort import Effort, OnStep
from ganport_bench.errors import BenchError
from ganport_bench.load.knee import ARRIVALS, FACTOR, Knee, RateRow, definition, knee_of, rates
from ganport_bench.load.servers import LoadTarget, ReadyServer, self_test
from ganport_bench.load.sweep import ConcurrencyRow, sweep

MEDIAN = 50.0
MILLI = 1e3


@dataclass(frozen=True)
class LoadFindings:
    """What was found."""

    target: str  # what was loaded
    server: ReadyServer  # what is known of it
    concurrency: list[ConcurrencyRow]  # a row for each number of clients that wait for their answers, one client first
    rates: list[RateRow]  # a row for each rate and kind of arrivals
    unloaded: float  # median latency of a single client, seconds
    capacity: float  # the best rate of clients that wait, good answers per second
    bound: float  # seconds within which an answer is in time
    definition: str  # of the knee

    @property
    def knees(self) -> dict[str, Knee]:
        """By kind of arrivals."""
        return {name: knee_of([row for row in self.rates if row.arrivals == name]) for name in ARRIVALS}

    def to_json(self) -> dict[str, Any]:
        """Its part of the document."""
        return {
            "target": self.target,
            "system": self.server.system,
            "facts": dict(self.server.facts),
            "judged": self.server.judged,
            "no_statistics": self.server.no_statistics,
            "capacity_per_second": self.capacity,
            "unloaded_p50_ms": MILLI * self.unloaded,
            "knee": {
                "definition": self.definition,
                "bound_ms": MILLI * self.bound,
                **{name: knee.to_json() for name, knee in self.knees.items()},
            },
            "rates": [row.to_json() for row in self.rates],
            "concurrency": [row.to_json() for row in self.concurrency],
        }


def measure(target: LoadTarget, effort: Effort, on_step: OnStep, *, bound_seconds: float | None = None) -> LoadFindings:
    """Load a server with clients that wait, which shows its capacity, then with rates around that.

    The load is made by a process of its own. An answer is in time within `bound_seconds`; None: within ten times the
    median latency of a single client. Raises BenchError if the server does not start, does not answer, or ends.
    """
    with target.open(on_step) as server, Worker("the load generator") as client:
        self_test(server)
        rows = sweep(server, client, effort, on_step)
        if not all(row.answers.latency.samples for row in rows):
            faults = next((row.answers.faults for row in rows if row.answers.faults), "no answer came in time")
            raise BenchError(f"{server.system} answered nothing in a whole load: {faults}")
        capacity, unloaded = max(row.answers.per_second for row in rows), rows[0].answers.latency.percentiles[MEDIAN]
        bound, is_given = FACTOR * unloaded if bound_seconds is None else bound_seconds, bound_seconds is not None
        offered = list(rates(server, client, effort, capacity, bound, on_step))
        said = definition(bound, is_given=is_given)
        return LoadFindings(target.text, server, rows, offered, unloaded, capacity, bound, said)
