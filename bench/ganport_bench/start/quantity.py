"""One measured number of milliseconds, bytes or times, and what it is of."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np

from ganport_bench.timing import Estimate, Seconds, median

__all__ = ["Part", "Quantity"]

Part = Literal["import", "start", "warm-up", "memory", "engine", "bundle", "installed"]
Unit = Literal["ms", "bytes", "x"]


@dataclass(frozen=True)
class Quantity:
    """A median over repetitions with its 95 % interval.

    Attributes:
        part: which table it belongs to.
        system: who takes or holds it.
        what: for people.
        unit: of the estimate; `x` is times as much.
        estimate: smaller is better.
        repetitions: fresh processes; what is counted and not timed has one.
        batch: images a call, where it is about one batch size.
        note: what else there is to know, or empty.
    """

    part: Part
    system: str
    what: str
    unit: Unit
    estimate: Estimate
    repetitions: int
    batch: int | None = None
    note: str = ""

    @classmethod
    def of_seconds(cls, part: Part, system: str, what: str, seconds: Seconds, **more: Any) -> Self:
        """Milliseconds of what took these seconds, float64 [repetitions]."""
        return cls(part, system, what, "ms", median(seconds).scaled(1e3), len(seconds), **more)

    @classmethod
    def of_bytes(cls, part: Part, system: str, what: str, *sizes: float, **more: Any) -> Self:
        """What was of these sizes, one a repetition."""
        return cls(part, system, what, "bytes", median(np.array(sizes, np.float64)), len(sizes), **more)

    def to_json(self) -> dict[str, Any]:
        """Its part of the document."""
        document = asdict(self)
        estimate = document.pop("estimate")
        return {**document, **estimate}
