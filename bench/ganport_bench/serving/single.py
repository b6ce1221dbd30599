"""One client, one image: what a server adds to the median of the bare call, in interleaved rounds."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from ganport_bench.client.grpc import grpc_loop
from ganport_bench.client.loops import closed_loop
from ganport_bench.client.outcome import OK, Outcome
from ganport_bench.errors import BenchError
from ganport_bench.serving.concurrency import PAUSE, WARMUP
from ganport_bench.serving.effort import Effort
from ganport_bench.serving.stage import Stage
from ganport_bench.serving.systems import GRPC, HTTP, Running
from ganport_bench.serving.usage import awake
from ganport_bench.timing import Estimate, Seconds, System, difference, interleave

__all__ = ["Single", "measure_single"]

BARE = "bare"


@dataclass(frozen=True)
class Single:
    """Medians of turns, seconds, float64 [rounds] each.

    Attributes:
        precision: that was asked for.
        system: the server's name.
        bare: of `sample(1)` without a server.
        served: of a request, by protocol.
        faults: what was lost or wrong, or empty.
    """

    precision: str
    system: str
    bare: Seconds
    served: dict[str, Seconds]
    faults: str

    def added(self, protocol: str) -> Estimate:
        """Seconds over the bare call."""
        return difference(self.served[protocol], self.bare)


def measure_single(stage: Stage, running: Running, effort: Effort) -> Single:
    """Ask a server for one image after another, and the generator alone, in turns.

    Raises:
        BenchError: a server gave no image in a whole turn.
    """
    outcomes: list[Outcome] = []
    seconds = effort.single_seconds

    def bare() -> float:
        return float(np.median(stage.offline.calls(seconds, 1).seconds))

    def asked(protocol: str) -> float:
        with awake(running.pid):
            if protocol == HTTP:
                outcome = stage.client(closed_loop, running.endpoint, stage.expected, clients=1, seconds=seconds)
            else:
                outcome = stage.client(grpc_loop, str(running.grpc), stage.expected, clients=1, seconds=seconds)
        outcomes.append(outcome)
        latencies = outcome.latencies(OK, begin=seconds / 10)
        if not len(latencies):  # one answer takes longer than the turn
            latencies = outcome.latencies(OK)
        if not len(latencies):
            raise BenchError(f"{running.name} gave one client no image by {protocol}: {outcome.faults() or 'refused'}")
        return float(np.median(latencies))

    protocols = [HTTP, GRPC] if running.grpc else [HTTP]
    systems: dict[str, System] = {BARE: bare, **{how: partial(asked, how) for how in protocols}}
    taken = interleave(systems, rounds=effort.single_rounds, warmup=WARMUP, pause=PAUSE)
    faults = "; ".join(dict.fromkeys(one.faults() for one in outcomes if not one.is_right))
    return Single(stage.precision, running.name, taken.pop(BARE), taken, faults)
