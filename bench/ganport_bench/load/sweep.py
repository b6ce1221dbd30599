"""Latency and throughput of clients that wait for their answers, measured as perf_analyzer does.

The load is cut into windows. It is stable once, over the last three windows, the largest throughput is at most 10 %
above the smallest, and the same holds for the mean latencies. The figures are those of these three windows together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganport_bench.client.loops import closed_loop
from ganport_bench.client.outcome import OK, REFUSED, Outcome
from ganport_bench.client.processes import Worker
from ganport_bench.effort import Effort, OnStep
from ganport_bench.errors import BenchError
from ganport_bench.load.servers import ReadyServer, ServerTimes
from ganport_bench.timing import LatencyPercentiles, latency_of

WINDOWS = 3
THRESHOLD = 0.1
BUSY = 0.9  # of a core: the load generator may have been the bottleneck
MILLI, MICRO = 1e3, 1e6


@dataclass(frozen=True)
class Answers:
    """Good answers in the seconds that count; everything else of the whole load."""

    per_second: float  # good answers
    latency: LatencyPercentiles  # of them, from when their requests were due
    mean: float  # latency over the whole load, seconds; 0 without answers. The server's own times are parts of it
    send: float  # the part in which the request was written
    receive: float  # the part from the answer's first bytes to its last
    requests: int  # of the whole load
    refused: int  # answers with status 429, 503 or 504
    errors: Mapping[int, int]  # answers with other statuses, by status
    lost: Mapping[str, int]  # requests without exactly one answer, by reason
    wrong: Mapping[str, int]  # answers with wrong content, by reason
    checked: int  # answers that were compared bit for bit
    client_cores: float  # cores that the load generator used

    @property
    def is_right(self) -> bool:
        """Whether every request has a right answer or a refusal."""
        return not (self.errors or self.lost or self.wrong)

    @property
    def faults(self) -> str:
        """What is not right, as text; empty if all is."""
        errors = {f"status {status}": count for status, count in self.errors.items()}
        return "; ".join(f"{count:,} x {what}" for what, count in {**errors, **self.lost, **self.wrong}.items())

    @property
    def remarks(self) -> tuple[str, str]:
        """What is not right, and whether the load generator may have been the bottleneck; each may be empty."""
        busy = f"the load generator used {self.client_cores:.2f} of a core" if self.client_cores > BUSY else ""
        return self.faults, busy

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


def in_microseconds(server: ServerTimes | None) -> dict[str, float] | None:
    """A server's own times as rows have them."""
    return None if server is None else {stage: MICRO * seconds for stage, seconds in server.items()}


def answers_of(outcome: Outcome, chosen: NDArray[np.bool_], per_second: float) -> Answers:
    """The answers of a load; `chosen`, bool [requests], are the requests that count, all with good answers."""
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


@dataclass(frozen=True)
class Window:
    """Good answers per second, and their mean latency in seconds; NaN if there is none."""

    per_second: float
    mean_latency: float

    def to_json(self) -> dict[str, float | None]:
        """Its part of a row."""
        mean = MILLI * self.mean_latency if self.per_second else None
        return {"answered_per_second": self.per_second, "mean_ms": mean}


@dataclass(frozen=True)
class StabilityRule:
    """perf_analyzer's rule: when to stop, and then which seconds count."""

    window_seconds: float  # of one window
    most_windows: int  # a load that is not stable ends after so many

    def __call__(self, outcome: Outcome) -> bool:
        """Whether the load is stable."""
        return self.stable_after(outcome) is not None

    def stable_after(self, outcome: Outcome) -> int | None:
        """The number of complete windows after which the load was first stable, or None."""
        windows = self.windows(outcome)
        ends = range(WINDOWS, len(windows) + 1)
        return next((end for end in ends if _is_stable(windows[end - WINDOWS : end])), None)

    def windows(self, outcome: Outcome) -> list[Window]:
        """All complete windows, oldest first."""
        complete = min(self.most_windows, int(outcome.seconds / self.window_seconds))
        return [self._window(outcome, number) for number in range(complete)]

    def interval(self, outcome: Outcome) -> tuple[float, float]:
        """Seconds where what counts begins and ends: the three stable windows, or the last three."""
        end = self.stable_after(outcome) or self.most_windows
        return max(0, end - WINDOWS) * self.window_seconds, end * self.window_seconds

    def _window(self, outcome: Outcome, number: int) -> Window:
        begin, end = number * self.window_seconds, (number + 1) * self.window_seconds
        seconds = (outcome.answered - outcome.due)[outcome.came(begin, end)]
        return Window(outcome.rate(begin, end), float(np.mean(seconds)) if len(seconds) else np.nan)


def _is_stable(windows: list[Window]) -> bool:
    rates = [window.per_second for window in windows]
    latencies = [window.mean_latency for window in windows]
    return min(rates) > 0 and all(max(values) <= (1 + THRESHOLD) * min(values) for values in (rates, latencies))


@dataclass(frozen=True)
class ConcurrencyRow:
    """One number of clients, each with one request in flight at all times."""

    concurrency: int  # number of clients
    answers: Answers  # that came in the three windows that count
    server: ServerTimes | None  # the server's own times over the whole load; None if it has none
    windows: list[Window]  # all of them, oldest first
    is_stable: bool  # whether the last three are alike

    def to_json(self) -> dict[str, Any]:
        """A row of the document."""
        unstable = "" if self.is_stable else f"unstable after {len(self.windows)} windows"
        return {
            "concurrency": self.concurrency,
            **self.answers.to_json(),
            "server_us": in_microseconds(self.server),
            "is_stable": self.is_stable,
            "windows": [window.to_json() for window in self.windows],
            "note": "; ".join(text for text in (unstable, *self.answers.remarks) if text),
        }


def sweep(server: ReadyServer, client: Worker, effort: Effort, on_step: OnStep) -> list[ConcurrencyRow]:
    """A row for each number of clients, ascending, one client first. Raises BenchError if a number is below 1."""
    if not effort.levels or min(effort.levels) < 1:
        raise BenchError(f"clients {list(effort.levels)}: give numbers of 1 and more")
    return [_row(server, client, effort, level, on_step) for level in sorted({1, *effort.levels})]


def _row(server: ReadyServer, client: Worker, effort: Effort, level: int, on_step: OnStep) -> ConcurrencyRow:
    on_step(f"{level} clients that wait for their answers")
    rule = StabilityRule(effort.window_seconds, effort.most_windows)
    load = partial(client, closed_loop, server.endpoint, server.check, clients=level, is_enough=rule)
    seconds, window = rule.window_seconds * rule.most_windows, rule.window_seconds
    outcome, times = server.during(partial(load, seconds=seconds, look_seconds=window))
    begin, end = rule.interval(outcome)
    answers = answers_of(outcome, outcome.came(begin, end), outcome.rate(begin, end))
    stable_after = rule.stable_after(outcome)
    return ConcurrencyRow(level, answers, times, rule.windows(outcome)[:stable_after], stable_after is not None)
