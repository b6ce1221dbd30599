"""What came of a load: the good answers of the seconds that count, and everything else of the whole of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganport_bench.load.latency import Latency, latency_of
from ganport_bench.serving.outcome import OK, REFUSED, Outcome

__all__ = ["Answers", "answers_of"]

BUSY = 0.9  # of a core
MILLI, MICRO = 1e3, 1e6


@dataclass(frozen=True)
class Answers:
    """Good answers of the seconds that count; of the whole load whatever else became of requests.

    Attributes:
        per_second: good answers.
        latency: of them, from when their requests were due.
        mean: latency over the whole load, seconds, of which the server's own times are parts; 0 without answers.
        send: its part in which a request was handed to the system.
        receive: its part from an answer's first bytes to its last.
        requests: of the whole load.
        refused: answers of status 429, 503 and 504.
        errors: answers of other statuses, by status.
        lost: requests without exactly one answer, by reason.
        wrong: answers that hold something else than they should, by reason.
        checked: answers that were compared bit for bit.
        client_cores: that the load generator used, of one.
    """

    per_second: float
    latency: Latency
    mean: float
    send: float
    receive: float
    requests: int
    refused: int
    errors: Mapping[int, int]
    lost: Mapping[str, int]
    wrong: Mapping[str, int]
    checked: int
    client_cores: float

    @property
    def is_right(self) -> bool:
        """Whether every request has its answer, none of which is an error or wrong; refusals are answers."""
        return not (self.errors or self.lost or self.wrong)

    @property
    def faults(self) -> str:
        """What is not right, as text; empty where all is."""
        errors = {f"status {status}": count for status, count in self.errors.items()}
        return "; ".join(f"{count:,} x {what}" for what, count in {**errors, **self.lost, **self.wrong}.items())

    @property
    def busyness(self) -> str:
        """Whether the load generator may have been what is slow, as text; empty where not."""
        return f"the load generator used {self.client_cores:.2f} of a core" if self.client_cores > BUSY else ""

    def to_json(self) -> dict[str, Any]:
        """Its part of a row."""
        return {
            "answered_per_second": self.per_second,
            "latency_ms": self.latency.to_json(),
            "mean_ms": MILLI * self.mean,
            "samples": self.latency.samples,
            "client_us": {"send": MICRO * self.send, "receive": MICRO * self.receive},
            "client_cores": self.client_cores,
            "requests": self.requests,
            "refused": self.refused,
            "errors": {str(status): count for status, count in self.errors.items()},
            "lost": dict(self.lost),
            "wrong": dict(self.wrong),
            "checked": self.checked,
            "correct": self.is_right,
        }


def answers_of(outcome: Outcome, chosen: NDArray[np.bool_], per_second: float) -> Answers:
    """What came of a load.

    Args:
        outcome: of the whole load.
        chosen: the requests that count, all with good answers; bool [requests].
        per_second: good answers in the seconds that count.
    """
    statuses, good = outcome.statuses(), np.equal(outcome.status, OK)
    return Answers(
        per_second=per_second,
        latency=latency_of((outcome.answered - outcome.due)[chosen]),
        mean=_mean((outcome.answered - outcome.due)[good]),
        send=_mean((outcome.handed - outcome.sent)[good]),
        receive=_mean((outcome.answered - outcome.first)[good]),
        requests=outcome.requests,
        refused=sum(statuses.get(status, 0) for status in REFUSED),
        errors={status: count for status, count in statuses.items() if status not in (OK, *REFUSED)},
        lost=outcome.lost,
        wrong=outcome.wrong,
        checked=outcome.checked,
        client_cores=outcome.cpu_seconds / outcome.seconds if outcome.seconds else 0.0,
    )


def _mean(seconds: NDArray[np.float64]) -> float:
    return float(seconds.mean()) if len(seconds) else 0.0
