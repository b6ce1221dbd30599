"""What a server says of its own seconds: the Open Inference Protocol's statistics extension, read before and after."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ganport_bench.errors import BenchError
from ganport_bench.load.address import Address

__all__ = ["Counters", "ServerTimes", "Statistics"]

NAMES = ("queue", "compute_input", "compute_infer", "compute_output")
NANO, MICRO = 1e-9, 1e6


@dataclass(frozen=True)
class ServerTimes:
    """Mean seconds of a request in each of the server's stages; 0 where it counted nothing there.

    Attributes:
        queue: until it was taken from the queue.
        compute_input: until its inputs were ready.
        compute_infer: until the engine was done.
        compute_output: until its outputs were ready.
    """

    queue: float
    compute_input: float
    compute_infer: float
    compute_output: float

    @property
    def total(self) -> float:
        """All of them together."""
        return self.queue + self.compute_input + self.compute_infer + self.compute_output

    def to_json(self) -> dict[str, float]:
        """Microseconds."""
        return {name: MICRO * getattr(self, name) for name in NAMES}


@dataclass(frozen=True)
class Counters:
    """Counts and nanoseconds of each stage since the server started."""

    stages: Mapping[str, tuple[int, int]]

    def since(self, earlier: "Counters") -> ServerTimes:
        """The means of what was counted in between."""
        return ServerTimes(**{name: _mean(self.stages[name], earlier.stages[name]) for name in NAMES})


@dataclass(frozen=True)
class Statistics:
    """Where they are read.

    Attributes:
        address: of the server.
        model: whose.
    """

    address: Address
    model: str

    @property
    def path(self) -> str:
        """Of the document."""
        return f"/v2/models/{quote(self.model, safe='')}/stats"

    def missing(self) -> str:
        """Why there are none, or empty."""
        try:
            self.read()
        except BenchError as error:
            return str(error)
        return ""

    def read(self) -> Counters:
        """The counters of all versions of the model together.

        Raises:
            BenchError: the server has none.
        """
        status, document = self.address.get(self.path)
        if status != 200:
            raise BenchError(f"the server has no statistics: it answers {status} to GET {self.path}")
        try:
            versions = [version["inference_stats"] for version in document["model_stats"]]
            return Counters({name: _sum(versions, name) for name in NAMES})
        except (KeyError, TypeError, ValueError):
            raise BenchError(f"{self.address}{self.path} holds no statistics of the Open Inference Protocol") from None


def _sum(versions: list[Any], name: str) -> tuple[int, int]:
    return sum(int(one[name]["count"]) for one in versions), sum(int(one[name]["ns"]) for one in versions)


def _mean(now: tuple[int, int], earlier: tuple[int, int]) -> float:
    count = now[0] - earlier[0]
    return NANO * (now[1] - earlier[1]) / count if count > 0 else 0.0
