"""The server's own times: the statistics extension of the Open Inference Protocol, read before and after a load."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ganport_bench.client.outcome import OK, Outcome
from ganport_bench.errors import BenchError

STAGES = ("queue", "compute_input", "compute_infer", "compute_output")
NANO, MICRO = 1e-9, 1e6

Counters = Mapping[str, tuple[int, int]]  # count and nanoseconds of each stage since the server started


@dataclass(frozen=True)
class ServerTimes:
    """Mean seconds of a request in each stage of the server; 0 where it counted nothing."""

    queue: float  # waiting
    compute_input: float  # preparing inputs
    compute_infer: float  # in the engine
    compute_output: float  # preparing outputs

    @property
    def total(self) -> float:
        """The sum of all stages."""
        return self.queue + self.compute_input + self.compute_infer + self.compute_output

    def to_json(self) -> dict[str, float]:
        """Microseconds."""
        return {name: MICRO * getattr(self, name) for name in STAGES}


@dataclass(frozen=True)
class Statistics:
    """Reads a model's counters by `get`, which returns status and document of a path."""

    get: Callable[[str], tuple[int, Any]]
    model: str

    def read(self) -> Counters:
        """The counters of all versions of the model together. Raises BenchError if the server has none."""
        path = f"/v2/models/{quote(self.model, safe='')}/stats"
        status, document = self.get(path)
        if status != OK:
            raise BenchError(f"the server has no statistics: it answers {status} to GET {path}")
        try:
            versions = [version["inference_stats"] for version in document["model_stats"]]
            return {name: _sum(versions, name) for name in STAGES}
        except (KeyError, TypeError, ValueError):
            raise BenchError(f"{path} holds no statistics of the Open Inference Protocol") from None

    def during(self, load: Callable[[], Outcome]) -> tuple[Outcome, ServerTimes]:
        """Run a load, and the means of what the server counted meanwhile.

        Counters are read before and after the whole load only: reading costs the server milliseconds, which would be
        latency.
        """
        before = self.read()
        outcome = load()
        after = self.read()
        return outcome, ServerTimes(**{name: _mean(after[name], before[name]) for name in STAGES})


def _sum(versions: list[Any], name: str) -> tuple[int, int]:
    return sum(int(one[name]["count"]) for one in versions), sum(int(one[name]["ns"]) for one in versions)


def _mean(after: tuple[int, int], before: tuple[int, int]) -> float:
    count = after[0] - before[0]
    return NANO * (after[1] - before[1]) / count if count > 0 else 0.0
