"""One rate of requests that were due at times of their own: what became of them, and whether the figures may stand."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ganport_bench.load.answers import Answers, answers_of
from ganport_bench.load.statistics import ServerTimes
from ganport_bench.serving.open_loop import LATE_SECONDS, slowness
from ganport_bench.serving.outcome import OK, Outcome

__all__ = ["SHARE", "RateRow", "rate_row"]

SHARE = 0.99  # of a rate's requests that are answered in time, where it is held
OF_BOUND = 0.25  # that the load generator may be late itself
MILLI = 1e3


@dataclass(frozen=True)
class RateRow:
    """One rate.

    Attributes:
        arrivals: `poisson` or `constant`.
        offered: requests that were due a second.
        of_capacity: that rate over the closed loop's best.
        answers: of requests that were due once the lead was over.
        server: the server's own seconds, over the whole load; None where it does not count them.
        in_time: share of the requests due once the lead was over that were answered, not refused, within the bound.
        late: p50, p99 and the most of the seconds by which the load generator itself sent requests late.
        void: why the load was not what it was meant to be, so that the figures are the load generator's; or empty.
        saturated: that the server held up all connections, or empty.
    """

    arrivals: str
    offered: float
    of_capacity: float
    answers: Answers
    server: ServerTimes | None
    in_time: float
    late: tuple[float, float, float]
    void: str
    saturated: str

    @property
    def is_held(self) -> bool:
        """Whether the server keeps up: 99 % are answered in time; and nothing was refused, lost or wrong at all."""
        return not self.void and self.answers.is_right and self.in_time >= SHARE

    @property
    def note(self) -> str:
        """What is to be known beside the figures, or empty."""
        void = f"VOID: {self.void}" if self.void else ""
        return "; ".join(text for text in (void, self.saturated, self.answers.faults, self.answers.busyness) if text)

    def to_json(self) -> dict[str, Any]:
        """A row of the document."""
        return {
            "arrivals": self.arrivals,
            "offered_per_second": self.offered,
            "share_of_capacity": self.of_capacity,
            **self.answers.to_json(),
            "server_us": None if self.server is None else self.server.to_json(),
            "in_time": self.in_time,
            "held": self.is_held,
            "late_ms": {name: MILLI * late for name, late in zip(("p50", "p99", "max"), self.late, strict=True)},
            "void": bool(self.void),
            "note": self.note,
        }


def rate_row(
    outcome: Outcome,
    server: ServerTimes | None,
    *,
    arrivals: str,
    offered: float,
    capacity: float,
    bound: float,
    begin: float,
    end: float,
    connections: int,
) -> RateRow:
    """What one load tells.

    Args:
        outcome: of the load.
        server: the server's own seconds.
        arrivals: of what kind.
        offered: requests a second.
        capacity: the closed loop's best rate.
        bound: seconds within which an answer is in time.
        begin: seconds at which the lead is over.
        end: and at which no more requests were due.
        connections: that there were.
    """
    counts = (outcome.due >= begin) & (outcome.due < end)
    good = counts & (outcome.status == OK)
    in_time = good & (outcome.answered - outcome.due <= bound)
    slow = slowness(outcome, min(LATE_SECONDS, OF_BOUND * bound))  # what the client is late counts as latency
    is_full = outcome.most_in_the_air >= connections
    p50, p99, most = np.percentile(outcome.lag(), (50, 99, 100)) if outcome.requests else (0.0, 0.0, 0.0)
    return RateRow(
        arrivals=arrivals,
        offered=offered,
        of_capacity=offered / capacity,
        answers=answers_of(outcome, good, outcome.rate(begin, end)),
        server=server,
        in_time=float(np.sum(in_time) / max(1, np.sum(counts))),
        late=(float(p50), float(p99), float(most)),
        void="" if is_full else slow,
        saturated=f"all {connections:,} connections waited for answers" if slow and is_full else "",
    )
