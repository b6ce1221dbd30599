"""The knee: the highest rate that a server holds.

A rate is held where at least 99 % of its requests are answered within a bound, counted from when each request was due,
and no answer of the whole load is missing or wrong. A refusal is not an answer in time. The bound is ten times the
median latency of a lone client, where none is given: it hangs on the server's own unloaded median, which is steady, and
not on its unloaded p99, which a single hiccup doubles. For a sense of it: a server that answers one request at a time,
each in the same time, holds Poisson arrivals of 77 % of its capacity by it (M/D/1). Servers that are compared with each
other need one bound for all, or the slowest has the most time.

The knee is the highest of the rates that were offered and held. The lowest above it that was not held is told beside
it: the truth lies between the two. A rate at which the load generator fell behind its own schedule counts for neither.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ganport_bench.load.rate_row import SHARE, RateRow

__all__ = ["FACTOR", "Bound", "Knee", "knee_of"]

FACTOR = 10.0  # times the median latency of a lone client
MILLI = 1e3


@dataclass(frozen=True)
class Bound:
    """Within which an answer is in time.

    Attributes:
        seconds: from when its request was due.
        is_given: whether someone chose it; else it is `FACTOR` times the median latency of a lone client.
    """

    seconds: float
    is_given: bool

    @property
    def definition(self) -> str:
        """The knee by this bound, in words."""
        why = "as given" if self.is_given else f"{FACTOR:g} times the median latency of one client that waits"
        return (
            f"the highest rate of which at least {SHARE:.0%} is answered within {MILLI * self.seconds:.1f} ms ({why}), "
            "counted from when each request was due, and no answer is missing or wrong"
        )


@dataclass(frozen=True)
class Knee:
    """Of one kind of arrivals.

    Attributes:
        held: the highest rate that was held, requests a second; None where none was.
        failed: the lowest rate above it that was not; None where there is none.
        note: what is to be known beside them, or empty.
    """

    held: float | None
    failed: float | None
    note: str

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
