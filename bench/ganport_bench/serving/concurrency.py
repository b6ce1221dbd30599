"""Many one-image clients at once: every server and the generator without one, in interleaved rounds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from ganport_runtime.buckets import TOP

from ganport_bench.client.grpc import grpc_loop
from ganport_bench.client.loops import closed_loop
from ganport_bench.client.outcome import OK, Outcome
from ganport_bench.serving.effort import CLIENTS, Effort
from ganport_bench.serving.offline import Calls, Offline
from ganport_bench.serving.stage import Stage
from ganport_bench.serving.systems import GRPC, HTTP, Running, name_of
from ganport_bench.serving.turn import LoadTurns
from ganport_bench.timing import Estimate, Seconds, System, interleave, median, ratio

__all__ = ["PAUSE", "PERCENTILES", "WARMUP", "Concurrency", "Row", "measure_concurrency"]

OFFLINE = "offline"
WARMUP = 1
PAUSE = 0.1  # seconds before a turn: engines' threads spin for a while after their work
PERCENTILES = (50, 90, 99)
MICRO, MILLI = 1e6, 1e3


@dataclass(frozen=True)
class Row:
    """One server under one protocol.

    Attributes:
        system: its name.
        protocol: `HTTP` or `gRPC`.
        running: the server.
        seconds: of one image, float64 [rounds].
        latency: percentiles of each round's latencies, seconds, float64 [rounds] each.
        outcomes: of the rounds that count.
        client_us: CPU time of the client's process a request, microseconds.
        server_us: CPU time of the server's processes a request.
        loop_us: of it, the first process's first thread.
    """

    system: str
    protocol: str
    running: Running
    seconds: Seconds
    latency: dict[int, Seconds]
    outcomes: list[Outcome]
    client_us: float
    server_us: float
    loop_us: float

    @property
    def images_per_second(self) -> Estimate:
        """The median over rounds and its interval."""
        return median(1 / self.seconds)

    @property
    def is_answering(self) -> bool:
        """Whether an image came in every turn."""
        return bool(np.all(np.isfinite(self.seconds)))

    @property
    def faults(self) -> str:
        """What was lost, refused or wrong in any round, or empty."""
        refused = sum(count for one in self.outcomes for status, count in one.statuses().items() if status != OK)
        texts = [one.faults() for one in self.outcomes] + ([f"{refused:,} x refused"] if refused else [])
        return "; ".join(dict.fromkeys(text for text in texts if text))


@dataclass(frozen=True)
class Concurrency:
    """Everyone around one plan.

    Attributes:
        stage: who was there.
        rows: the servers that answered in every turn.
        missing: the others, and those that did not start, with why.
        offline_seconds: of one image without a server, float64 [rounds].
        offline_cpu_us: CPU time of that, an image, microseconds.
        batch_seconds: of one call at the top bucket, the median of each round, float64 [rounds].
    """

    stage: Stage
    rows: list[Row]
    missing: Mapping[str, str]
    offline_seconds: Seconds
    offline_cpu_us: float
    batch_seconds: Seconds

    def row(self, system: str, protocol: str = HTTP) -> Row | None:
        """That server's, or None."""
        return next((one for one in self.rows if (one.system, one.protocol) == (system, protocol)), None)

    def share(self, row: Row) -> Estimate:
        """Images a second over those without a server, round by round."""
        return ratio(self.offline_seconds, row.seconds)


def measure_concurrency(stage: Stage, effort: Effort, clients: int = CLIENTS) -> Concurrency:
    """Load every server of the stage with `clients` closed-loop clients, and run the generator alone, in turns."""
    offline = OfflineTurns(stage.offline, effort.turn_seconds - effort.lead_seconds)
    servers = {
        key: turns for running in stage.running.values() for key, turns in _turns(stage, running, effort, clients)
    }
    systems: dict[str, System] = {
        OFFLINE: offline,
        **{f"{name}, {how}": turns for (name, how), turns in servers.items()},
    }
    seconds = interleave(systems, rounds=effort.rounds, warmup=WARMUP, pause=PAUSE)
    rows = [_row(name, how, turns, seconds[f"{name}, {how}"]) for (name, how), turns in servers.items()]
    silent = {name_of(row.system, row.protocol): _silent(row) for row in rows if not row.is_answering}
    return Concurrency(
        stage,
        [row for row in rows if row.is_answering],
        {**stage.missing, **silent},
        seconds[OFFLINE],
        offline.cpu_us(WARMUP),
        offline.batch_seconds(WARMUP),
    )


def _silent(row: Row) -> str:
    return f"it answered nothing in a whole turn: {row.faults or 'no reason is known'}"


@dataclass
class OfflineTurns:
    """A system of `interleave`: the generator at its top bucket, without a server; keeps every call."""

    offline: Offline
    turn_seconds: float
    turns: list[Calls] = field(default_factory=list)

    def __call__(self) -> float:
        """One turn; seconds of one image."""
        self.turns.append(self.offline.calls(self.turn_seconds, TOP))
        return 1 / self.turns[-1].images_per_second

    def cpu_us(self, warmup: int) -> float:
        """CPU time of an image, microseconds."""
        turns = self.turns[warmup:]
        return MICRO * sum(one.cpu_seconds for one in turns) / sum(one.images * len(one.seconds) for one in turns)

    def batch_seconds(self, warmup: int) -> Seconds:
        """Of one call, the median of each turn."""
        return np.array([np.median(one.seconds) for one in self.turns[warmup:]])


def _turns(stage: Stage, running: Running, effort: Effort, clients: int) -> list[tuple[tuple[str, str], LoadTurns]]:
    http = partial(
        stage.client, closed_loop, running.endpoint, stage.expected, clients=clients, seconds=effort.turn_seconds
    )
    loads: dict[str, Callable[[], Outcome]] = {HTTP: http}
    if running.grpc is not None:
        loads[GRPC] = partial(
            stage.client, grpc_loop, running.grpc, stage.expected, clients=clients, seconds=effort.turn_seconds
        )
    begin, end = effort.lead_seconds, effort.turn_seconds
    return [((running.name, how), LoadTurns(running, load, begin, end)) for how, load in loads.items()]


def _row(name: str, how: str, turns: LoadTurns, seconds: Seconds) -> Row:
    counted = turns.turns[WARMUP:]
    requests = max(1, sum(one.outcome.requests for one in counted))
    return Row(
        system=name,
        protocol=how,
        running=turns.running,
        seconds=seconds,
        latency={percent: turns.percentiles(WARMUP, percent) for percent in PERCENTILES},
        outcomes=[one.outcome for one in counted],
        client_us=MICRO * sum(one.outcome.cpu_seconds for one in counted) / requests,
        server_us=MICRO * sum(one.cpu.total for one in counted) / requests,
        loop_us=MICRO * sum(one.cpu.loop for one in counted) / requests,
    )
