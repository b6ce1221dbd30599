"""What became of every request of a load: when it was due, sent and answered, and how."""

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["OK", "REFUSED", "Log", "Outcome", "nothing"]

OK = 200
NEVER = float("nan")
REFUSED = (429, 503, 504)

Times = NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """One load from end to end; times in seconds since it began, one a request in the order of sending.

    Attributes:
        due: when each request was meant to be sent; in a closed loop, when it was sent.
        sent: when it was.
        answered: when its answer was whole; NaN where none came.
        status: of the answer; 0 where none came.
        lost: requests without exactly one answer, by reason.
        wrong: answers that hold something else than they should, by reason.
        checked: answers that were compared bit for bit.
        reconnected: connections that had to be opened again.
        cpu_seconds: what the client's process used.
        seconds: from the first request to the last answer.
        handed: when all of each request's bytes were with the system; NaN where that is not known.
        first: when the first bytes of its answer were there; NaN where that is not known.
    """

    due: Times
    sent: Times
    answered: Times
    status: NDArray[np.int16]
    lost: Mapping[str, int]
    wrong: Mapping[str, int]
    checked: int
    reconnected: int
    cpu_seconds: float
    seconds: float
    handed: Times = field(default_factory=lambda: np.zeros(0))
    first: Times = field(default_factory=lambda: np.zeros(0))

    @property
    def requests(self) -> int:
        """How many were sent."""
        return len(self.sent)

    @property
    def is_right(self) -> bool:
        """Whether every request has its answer and none holds anything wrong; refusals are answers."""
        return not self.lost and not self.wrong

    def faults(self) -> str:
        """What was lost or wrong, as text; empty where nothing was."""
        return "; ".join(f"{count:,} x {reason}" for reason, count in [*self.lost.items(), *self.wrong.items()])

    def statuses(self) -> dict[int, int]:
        """How many answers of each status."""
        values, counts = np.unique(self.status[self.status > 0], return_counts=True)
        return {int(value): int(count) for value, count in zip(values, counts, strict=True)}

    def latencies(self, *statuses: int, begin: float = 0.0, end: float = np.inf) -> Times:
        """Seconds from due to answered, of the answers of these statuses due from `begin` on and before `end`."""
        chosen = np.isin(self.status, statuses) & (self.due >= begin) & (self.due < end)
        return (self.answered - self.due)[chosen]

    def came(self, begin: float, end: float) -> NDArray[np.bool_]:
        """Which requests have a good answer that came from `begin` on and before `end`."""
        good = np.equal(self.status, OK)
        return good & (self.answered >= begin) & (self.answered < end)

    def rate(self, begin: float, end: float) -> float:
        """Good answers a second that came from `begin` to before `end`.

        Answers come a batch at a time, so they are counted from the last one before `begin` to the last one before
        `end`: a few milliseconds more or less would otherwise be a batch more or less.
        """
        good = np.sort(self.answered[self.status == OK])
        first, last = np.searchsorted(good, (begin, end))
        if first == last:
            return 0.0
        since = (
            good[first - 1] if first else 0.0
        )  # where none came before, the first were under way since the load began
        return float((last - first) / (good[last - 1] - since))

    @property
    def most_in_the_air(self) -> int:
        """The most requests that waited for their answers at once."""
        answered = np.searchsorted(np.sort(self.answered[~np.isnan(self.answered)]), self.sent, side="right")
        return int(np.max(np.arange(1, self.requests + 1) - answered, initial=0))

    def lag(self) -> Times:
        """Seconds by which each request was sent late."""
        return self.sent - self.due


@dataclass
class Log:
    """Collects an outcome; 42 bytes a request."""

    due: "array[float]" = field(default_factory=lambda: array("d"))
    sent: "array[float]" = field(default_factory=lambda: array("d"))
    answered: "array[float]" = field(default_factory=lambda: array("d"))
    handed: "array[float]" = field(default_factory=lambda: array("d"))
    first: "array[float]" = field(default_factory=lambda: array("d"))
    status: "array[int]" = field(default_factory=lambda: array("h"))
    lost: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    checked: int = 0
    reconnected: int = 0

    def add(self, due: float, sent: float) -> int:
        """Note a request and return its number."""
        self.due.append(due)
        self.sent.append(sent)
        for column in (self.answered, self.handed, self.first):
            column.append(NEVER)
        self.status.append(0)
        return len(self.sent) - 1

    def outcome(self, begun: float, ended: float, cpu_seconds: float) -> Outcome:
        """What was collected, with times since `begun`."""
        columns = (self.due, self.sent, self.answered, self.handed, self.first)
        due, sent, answered, handed, first = (_floats(column) - begun for column in columns)
        return Outcome(
            due=due,
            sent=sent,
            answered=answered,
            status=np.array(self.status, np.int16),
            lost=dict(self.lost),
            wrong=dict(self.wrong),
            checked=self.checked,
            reconnected=self.reconnected,
            cpu_seconds=cpu_seconds,
            seconds=ended - begun,
            handed=handed,
            first=first,
        )


def nothing(reason: str) -> Outcome:
    """The outcome of a load that could not be made at all."""
    return Log(lost=Counter({reason: 1})).outcome(0.0, 0.0, 0.0)


def _floats(column: Sequence[float]) -> Times:
    return np.array(column, np.float64)
