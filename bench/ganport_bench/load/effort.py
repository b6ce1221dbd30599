"""How long a server is loaded, and how: clients, rates, seconds."""

from dataclasses import dataclass

from ganport_bench.errors import BenchError

__all__ = ["FULL", "QUICK", "Effort"]


@dataclass(frozen=True)
class Effort:
    """Clients and windows of the closed loop, rates and seconds of the open one.

    Attributes:
        levels: clients that wait for their answers, one row each.
        window_seconds: of the windows that are compared with each other.
        most_windows: after so many without rest a level is called unstable.
        fractions: of the closed loop's best rate, offered in the open loop, rising.
        rate_seconds: for how long requests are due at each rate.
        samples: requests of a rate, for which it goes on longer, but not for more than `most_rate_seconds`.
        most_rate_seconds: of one rate.
        lead_seconds: at the beginning of each rate that do not count.
        beyond: rates in a row that do not hold, after which the knee is behind.
        connections: requests that may wait for answers at once.

    Raises:
        BenchError: no clients, or a number of them below 1.
    """

    levels: tuple[int, ...]
    window_seconds: float
    most_windows: int
    fractions: tuple[float, ...]
    rate_seconds: float
    samples: int
    most_rate_seconds: float
    lead_seconds: float
    beyond: int
    connections: int = 1536  # 1,024 that ganport's server lets wait, and more that it refuses

    def __post_init__(self) -> None:
        if not self.levels or min(self.levels) < 1:
            raise BenchError(f"clients {list(self.levels)}: give numbers of 1 and more")


FULL = Effort(
    levels=(1, 2, 4, 8, 16, 32, 64),
    window_seconds=1.0,
    most_windows=10,
    fractions=(0.05, 0.1, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.35, 1.5, 1.75, 2.0, 2.5, 3.0),
    rate_seconds=5.0,
    samples=1100,  # a tenth more than p99 needs: the number of Poisson arrivals varies
    most_rate_seconds=12.0,
    lead_seconds=0.5,
    beyond=2,
)
QUICK = Effort(
    levels=(1, 8, 64),
    window_seconds=0.3,
    most_windows=6,
    fractions=(0.3, 0.6, 0.8, 1.0, 1.25, 1.6, 2.0, 3.0),
    rate_seconds=1.2,
    samples=200,
    most_rate_seconds=3.0,
    lead_seconds=0.2,
    beyond=1,
)
