"""Latency and throughput against clients that wait for their answers, as perf_analyzer measures them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ganport_bench.command import OnStep
from ganport_bench.load.answers import Answers, answers_of
from ganport_bench.load.effort import Effort
from ganport_bench.load.opened import Opened
from ganport_bench.load.stability import Stability, Window
from ganport_bench.load.statistics import ServerTimes
from ganport_bench.serving.closed_loop import closed_loop
from ganport_bench.serving.outcome import Outcome
from ganport_bench.serving.worker import Worker

__all__ = ["ConcurrencyRow", "sweep", "timed_by_server"]

MILLI = 1e3


@dataclass(frozen=True)
class ConcurrencyRow:
    """So many clients, each with one request in the air at all times.

    Attributes:
        concurrency: clients.
        answers: that came in the three windows that count.
        server: the server's own seconds, over the whole load; None where it does not count them.
        windows: all of them, oldest first.
        is_stable: whether the last three are alike, by perf_analyzer's rule.
    """

    concurrency: int
    answers: Answers
    server: ServerTimes | None
    windows: list[Window]
    is_stable: bool

    @property
    def note(self) -> str:
        """What is to be known beside the figures, or empty."""
        unstable = "" if self.is_stable else f"unstable after {len(self.windows)} windows"
        return "; ".join(text for text in (unstable, self.answers.faults, self.answers.busyness) if text)

    def to_json(self) -> dict[str, Any]:
        """A row of the document."""
        return {
            "concurrency": self.concurrency,
            **self.answers.to_json(),
            "server_us": None if self.server is None else self.server.to_json(),
            "is_stable": self.is_stable,
            "windows": [_window(window) for window in self.windows],
            "note": self.note,
        }


def sweep(opened: Opened, client: Worker, effort: Effort, on_step: OnStep) -> list[ConcurrencyRow]:
    """A row for each number of clients, rising, a lone one first whether or not it is among them.

    Args:
        opened: the server.
        client: where the load is made.
        effort: how many clients, how long.
        on_step: called with a few words before each row.
    """
    return [_row(opened, client, effort, level, on_step) for level in sorted({1, *effort.levels})]


def timed_by_server(opened: Opened, load: Callable[[], Outcome]) -> tuple[Outcome, ServerTimes | None]:
    """Make a load, and read what the server counted meanwhile.

    It is read before and after the whole load alone: reading takes the server milliseconds, which would be latency.
    """
    read = opened.read_statistics
    if read is None:
        return load(), None
    before = read()
    outcome = load()
    return outcome, read().since(before)


def _row(opened: Opened, client: Worker, effort: Effort, level: int, on_step: OnStep) -> ConcurrencyRow:
    on_step(f"{level} clients that wait for their answers")
    rule = Stability(effort.window_seconds, effort.most_windows)

    def load() -> Outcome:
        return client(
            closed_loop,
            opened.endpoint,
            opened.judge,
            clients=level,
            seconds=rule.most_seconds,
            look_seconds=rule.window_seconds,
            is_enough=rule,
        )

    outcome, server = timed_by_server(opened, load)
    begin, end = rule.interval(outcome)
    answers = answers_of(outcome, outcome.came(begin, end), outcome.rate(begin, end))
    trials = rule.trials(outcome)
    return ConcurrencyRow(level, answers, server, rule.windows(outcome)[:trials], trials is not None)


def _window(window: Window) -> dict[str, float | None]:
    mean = MILLI * window.mean_latency if window.per_second else None
    return {"answered_per_second": window.per_second, "mean_ms": mean}
