"""What became of every request of a load: when it was due, sent and answered, and whether the answer was right."""

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

OK = 200
REFUSED = (429, 503, 504)
NEVER = float("nan")
CHECKED = 8  # one request in so many asks for an image that is known

Times = NDArray[np.float64]


@dataclass(frozen=True)
class AnswerCheck:
    """Chooses the seed of each request and checks the answers of status 200.

    This one knows nothing about the answers: only their status counts, and every request asks for another seed.
    """

    def seed_of(self, number: int) -> int:
        """The seed that the request of this number asks for."""
        return number

    def is_known(self, seed: int) -> bool:  # noqa: ARG002
        """Whether an answer to this seed can be compared bit for bit."""
        return False

    def fault(self, seed: int, buffer: bytes | bytearray, begin: int, end: int) -> str | None:  # noqa: ARG002
        """What is wrong with the body `buffer[begin:end]`, or None."""
        return None


@dataclass(frozen=True)
class GoldenImages(AnswerCheck):
    """Images that are known bit for bit."""

    images: Sequence[bytes]  # bytes of the first image of the seeds 0, 1, 2, ...; all of one size

    def seed_of(self, number: int) -> int:
        """Every eighth request asks for a known image, the others for a seed that was not asked for before."""
        turn, rest = divmod(number, CHECKED)
        return turn % len(self.images) if rest == 0 else len(self.images) + number

    def is_known(self, seed: int) -> bool:  # noqa: D102
        return seed < len(self.images)

    def fault(self, seed: int, buffer: bytes | bytearray, begin: int, end: int) -> str | None:
        """The body must end with the image; for an unknown seed only its size is checked."""
        size = len(self.images[0])
        if end - begin < size:
            return f"a body of {end - begin} bytes where the image alone has {size}"
        if self.is_known(seed) and not buffer.endswith(self.images[seed], begin, end):
            return "another image than Generator.sample makes"
        return None


@dataclass(frozen=True)
class Outcome:
    """One load from start to end; times in seconds since it began, one per request in the order of sending."""

    due: Times  # when each request should have been sent; in a closed loop, when it was sent
    sent: Times  # when it was sent
    answered: Times  # when its answer was complete; NaN without an answer
    status: NDArray[np.int16]  # of the answer; 0 without an answer
    lost: Mapping[str, int]  # requests without exactly one answer, by reason
    wrong: Mapping[str, int]  # answers with wrong content, by reason
    checked: int  # answers that were compared bit for bit
    reconnected: int  # connections that had to be opened again
    cpu_seconds: float  # used by the client's process
    seconds: float  # from the first request to the last answer
    # when the last byte of each request was written; NaN where unknown
    handed: Times = field(default_factory=lambda: np.zeros(0))
    # when the first bytes of its answer arrived; NaN where unknown
    first: Times = field(default_factory=lambda: np.zeros(0))

    @property
    def requests(self) -> int:
        """How many were sent."""
        return len(self.sent)

    @property
    def is_right(self) -> bool:
        """Whether nothing was lost or wrong; a refusal is an answer."""
        return not self.lost and not self.wrong

    def faults(self) -> str:
        """What was lost or wrong, as text; empty if nothing was."""
        return "; ".join(f"{count:,} x {reason}" for reason, count in [*self.lost.items(), *self.wrong.items()])

    def statuses(self) -> dict[int, int]:
        """The number of answers by status."""
        values, counts = np.unique(self.status[self.status > 0], return_counts=True)
        return {int(value): int(count) for value, count in zip(values, counts, strict=True)}

    def latencies(self, *statuses: int, begin: float = 0.0, end: float = np.inf) -> Times:
        """Seconds from due to answered of answers with these statuses, due from `begin` on and before `end`."""
        chosen = np.isin(self.status, statuses) & (self.due >= begin) & (self.due < end)
        return (self.answered - self.due)[chosen]

    def came(self, begin: float, end: float) -> NDArray[np.bool_]:
        """Which requests have a good answer that arrived from `begin` on and before `end`."""
        return np.equal(self.status, OK) & (self.answered >= begin) & (self.answered < end)

    def rate(self, begin: float, end: float) -> float:
        """Good answers per second between `begin` and `end`.

        Answers arrive a batch at a time. We therefore measure from the last answer before `begin` to the last answer
        before `end`: otherwise a few milliseconds would add or remove a whole batch.
        """
        good = np.sort(self.answered[self.status == OK])
        first, last = np.searchsorted(good, (begin, end))
        if first == last:
            return 0.0
        since = good[first - 1] if first else 0.0  # if none came before, the first were sent when the load began
        return float((last - first) / (good[last - 1] - since))

    @property
    def most_in_the_air(self) -> int:
        """The largest number of requests that waited for answers at once."""
        answered = np.searchsorted(np.sort(self.answered[~np.isnan(self.answered)]), self.sent, side="right")
        return int(np.max(np.arange(1, self.requests + 1) - answered, initial=0))

    def lag(self) -> Times:
        """Seconds by which each request was sent late."""
        return self.sent - self.due


def _column() -> "array[float]":
    return array("d")


@dataclass
class OutcomeLog:
    """Collects an outcome while the load runs; 42 bytes per request."""

    due: "array[float]" = field(default_factory=_column)
    sent: "array[float]" = field(default_factory=_column)
    answered: "array[float]" = field(default_factory=_column)
    handed: "array[float]" = field(default_factory=_column)
    first: "array[float]" = field(default_factory=_column)
    status: "array[int]" = field(default_factory=lambda: array("h"))
    lost: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    checked: int = 0
    reconnected: int = 0

    def add(self, due: float, sent: float) -> int:
        """Add a request; its number."""
        self.due.append(due)
        self.sent.append(sent)
        for column in (self.answered, self.handed, self.first):
            column.append(NEVER)
        self.status.append(0)
        return len(self.sent) - 1

    def check(self, check: AnswerCheck, seed: int, buffer: bytes | bytearray, begin: int, end: int) -> None:
        """Check the body of an answer and count the result."""
        fault = check.fault(seed, buffer, begin, end)
        if fault is not None:
            self.wrong[fault] += 1
        elif check.is_known(seed):
            self.checked += 1

    def outcome(self, begun: float, ended: float, cpu_seconds: float) -> Outcome:
        """What was collected, with times since `begun`."""
        columns = (self.due, self.sent, self.answered, self.handed, self.first)
        due, sent, answered, handed, first = (np.array(column, np.float64) - begun for column in columns)
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
    """The outcome of a load that could not run at all."""
    return OutcomeLog(lost=Counter({reason: 1})).outcome(0.0, 0.0, 0.0)
