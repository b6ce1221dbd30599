"""Latency at given rates, and the knee: the highest rate that a server holds.

Requests are due at given times, so a slow answer delays no other request, and latency counts from when a request was
due, with a resolution of 0.2 ms. A server that stalls is asked all the same.

A rate is held if at least 99 % of its requests are answered within a bound, counted from when each request was due, and
no answer of the whole load is missing or wrong. A refusal is not an answer in time. If no bound is given, it is ten
times the median latency of a single client: the median is steady, where a single hiccup doubles an unloaded p99. For a
sense of it: a server that answers one request at a time, each in the same time, holds Poisson arrivals of 77 % of its
capacity by it (M/D/1). To compare servers, use the same bound for all, or the slowest has the most time.

The knee is the highest rate that was offered and held. The lowest rate above it that was not held is reported too: the
truth lies between the two. A rate at which the load generator fell behind its own schedule is void and counts for
neither.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganport_bench.client.loops import LATE_SECONDS, constant, open_loop, poisson, slowness
from ganport_bench.client.outcome import OK, Outcome
from ganport_bench.client.processes import Worker
from ganport_bench.effort import Effort, OnStep
from ganport_bench.load.servers import ReadyServer, ServerTimes
from ganport_bench.load.sweep import Answers, answers_of, in_microseconds

ARRIVALS: dict[str, Callable[[float, float], NDArray[np.float64]]] = {"poisson": poisson, "constant": constant}
SHARE = 0.99  # of a rate's requests that are answered in time, if it is held
FACTOR = 10.0  # times the median latency of a single client
TICK = 0.0002  # seconds
OF_BOUND = 0.25  # that the load generator itself may be late
LEAST_CONNECTIONS, MOST_CONNECTIONS = 64, 1536  # ganport's server lets 1,024 requests wait, and refuses the others
TRIES = 2  # of a rate at which the load generator fell behind
MILLI = 1e3


def definition(bound: float, *, is_given: bool) -> str:
    """What the knee is, in words; within `bound` seconds an answer is in time."""
    why = "as given" if is_given else f"{FACTOR:g} times the median latency of one client that waits"
    return (
        f"the highest rate of which at least {SHARE:.0%} is answered within {MILLI * bound:.1f} ms ({why}), "
        "counted from when each request was due, and no answer is missing or wrong"
    )


@dataclass(frozen=True)
class RateRow:
    """One rate."""

    arrivals: str  # `poisson` or `constant`
    offered: float  # requests that were due per second
    of_capacity: float  # that rate over the closed loop's best
    answers: Answers  # of requests that were due after the lead
    server: ServerTimes | None  # the server's own times over the whole load; None if it has none
    in_time: float  # share of the requests due after the lead that were answered, not refused, within the bound
    # p50, p99 and maximum of the seconds by which the load generator itself sent requests late
    late: tuple[float, float, float]
    void: str  # why the load was not what it should have been, or empty
    saturated: str  # that the server held up all connections, or empty

    @property
    def is_held(self) -> bool:
        """Whether 99 % are answered in time, and nothing is lost or wrong."""
        return not self.void and self.answers.is_right and self.in_time >= SHARE

    def to_json(self) -> dict[str, Any]:
        """A row of the document."""
        void = f"VOID: {self.void}" if self.void else ""
        return {
            "arrivals": self.arrivals,
            "offered_per_second": self.offered,
            "share_of_capacity": self.of_capacity,
            **self.answers.to_json(),
            "server_us": in_microseconds(self.server),
            "in_time": self.in_time,
            "held": self.is_held,
            "late_ms": {name: MILLI * late for name, late in zip(("p50", "p99", "max"), self.late, strict=True)},
            "void": bool(self.void),
            "note": "; ".join(text for text in (void, self.saturated, *self.answers.remarks) if text),
        }


@dataclass(frozen=True)
class Schedule:
    """One rate that is offered."""

    arrivals: str  # a name of `ARRIVALS`
    due: NDArray[np.float64]  # when requests are due, seconds, float64 [requests]
    begin: float  # requests due before it do not count
    end: float  # when the last one may be due
    connections: int  # that are open

    @classmethod
    def of(cls, arrivals: str, rate: float, effort: Effort) -> "Schedule":
        """Long enough for `effort.samples` requests after the lead, if that is not too long."""
        seconds = min(max(effort.rate_seconds, effort.samples / rate), effort.most_rate_seconds)
        end = effort.lead_seconds + seconds
        # Enough for what arrives within a second. If answers take longer, the rate is not held anyway.
        connections = min(max(math.ceil(rate), LEAST_CONNECTIONS), MOST_CONNECTIONS)
        return cls(arrivals, ARRIVALS[arrivals](rate, end), effort.lead_seconds, end, connections)

    def row(self, outcome: Outcome, server: ServerTimes | None, capacity: float, bound: float) -> RateRow:
        """What came of it, with `capacity` and `bound` as in `rates`."""
        counts = (outcome.due >= self.begin) & (outcome.due < self.end)
        good = counts & (outcome.status == OK)
        in_time = good & (outcome.answered - outcome.due <= bound)
        slow = slowness(outcome, min(LATE_SECONDS, OF_BOUND * bound))  # the client's lateness counts as latency
        is_full = outcome.most_in_the_air >= self.connections
        p50, p99, most = np.percentile(outcome.lag(), (50, 99, 100)) if outcome.requests else (0.0, 0.0, 0.0)
        offered = len(self.due) / self.end
        return RateRow(
            arrivals=self.arrivals,
            offered=offered,
            of_capacity=offered / capacity,
            answers=answers_of(outcome, good, outcome.rate(self.begin, self.end)),
            server=server,
            in_time=float(np.sum(in_time) / max(1, np.sum(counts))),
            late=(float(p50), float(p99), float(most)),
            void="" if is_full else slow,
            saturated=f"all {self.connections:,} connections waited for answers" if slow and is_full else "",
        )


def rates(
    server: ReadyServer, client: Worker, effort: Effort, capacity: float, bound: float, on_step: OnStep
) -> Iterator[RateRow]:
    """Ascending rates, with both kinds of arrivals at each, until a few in a row are not held.

    `capacity` is the closed loop's best rate, requests per second. Within `bound` seconds an answer is in time.
    """

    def offer(arrivals: str, rate: float) -> RateRow:
        """A rate's row. If the load generator falls behind, it is tried again; the last row says so."""
        for _ in range(TRIES):
            on_step(f"{rate:,.0f} requests a second, {arrivals} arrivals")
            schedule = Schedule.of(arrivals, rate, effort)
            due, connections = schedule.due, schedule.connections
            load = partial(client, open_loop, server.endpoint, server.check, due, connections=connections, tick=TICK)
            outcome, times = server.during(load)
            row = schedule.row(outcome, times, capacity, bound)
            if not row.void:
                break
        return row

    missed = dict.fromkeys(ARRIVALS, 0)
    for fraction in effort.fractions:
        for arrivals in [name for name, times in missed.items() if times < effort.beyond]:
            row = offer(arrivals, fraction * capacity)
            missed[arrivals] = 0 if row.is_held else missed[arrivals] + 1
            yield row


@dataclass(frozen=True)
class Knee:
    """The knee for one kind of arrivals."""

    held: float | None  # the highest rate that was held, requests per second; None if none was
    failed: float | None  # the lowest rate above it that was not; None if there is none
    note: str  # what else there is to say, or empty

    def to_json(self) -> dict[str, Any]:
        """Its part of the document."""
        return {"held_per_second": self.held, "failed_per_second": self.failed, "note": self.note}


def knee_of(rows: Sequence[RateRow]) -> Knee:
    """The knee of the rates of one kind of arrivals, in any order."""
    valid = [row for row in rows if not row.void]
    held = max((row.offered for row in valid if row.is_held), default=None)
    missed = sorted(row.offered for row in valid if not row.is_held)
    above = [rate for rate in missed if held is None or rate > held]
    below = [f"{rate:,.0f}/s" for rate in missed if held is not None and rate < held]
    notes = (
        "no rate was held: the knee is below the lowest" if held is None else "",
        "no rate above it was measured: the knee may be higher" if not above and held is not None else "",
        f"not held although lower: {', '.join(below)}" if below else "",
        f"{len(rows) - len(valid)} void" if len(valid) < len(rows) else "",
    )
    return Knee(held, above[0] if above else None, "; ".join(note for note in notes if note))
