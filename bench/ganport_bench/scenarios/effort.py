"""How long every scenario is run."""

from dataclasses import dataclass

__all__ = ["FULL", "QUICK", "Effort"]


@dataclass(frozen=True)
class Effort:
    """Seconds, steps and counts.

    Attributes:
        limit_seconds: after which a run is ended; None: as soon as LoadGen's own minimum is reached. LoadGen calls what
            is shorter than its minimum INVALID.
        search_seconds: of each step of the search for the Server scenario's rate.
        search_steps: of that search, each of which halves the range.
        confirmations: runs of full length, each at a lower rate, until one keeps the latency bound.
        bound_batches: Server's latency bound where none is given, in times that MultiStream's query takes.
        checked: responses, about, that LoadGen keeps of a run and that are compared.
        warm_seconds: of calls before each run.
        null_queries: for the system that makes nothing.
    """

    limit_seconds: float | None
    search_seconds: float
    search_steps: int
    confirmations: int
    bound_batches: float = 4.0
    checked: int = 32
    warm_seconds: float = 0.3
    null_queries: int = 1000


FULL = Effort(limit_seconds=None, search_seconds=2.0, search_steps=5, confirmations=6)
QUICK = Effort(limit_seconds=1.0, search_seconds=0.5, search_steps=4, confirmations=6, checked=16)
