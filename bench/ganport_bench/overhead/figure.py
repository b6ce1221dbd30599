"""One measured figure beside its target."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ganport_bench.timing import Estimate


@dataclass(frozen=True)
class Figure:
    """What was measured, what is wanted, and what it was computed from.

    Attributes:
        name: Key in documents.
        title: What was compared with what, for people.
        unit: Of `estimate` and `target`.
        estimate: Smaller is better.
        target: Reached where the estimate's value is at most this.
        details: Medians of both sides and other facts, units in their names.
        note: What the figure leaves out, if anything.
    """

    name: str
    title: str
    unit: str
    estimate: Estimate
    target: float
    details: Mapping[str, float | int | str] = field(default_factory=dict)
    note: str = ""

    @property
    def is_reached(self) -> bool:
        """Whether the value meets the target."""
        return self.estimate.value <= self.target

    @property
    def is_certain(self) -> bool:
        """Whether the whole interval lies on the same side of the target as the value."""
        return self.estimate.high <= self.target or self.estimate.low > self.target

    def to_json(self) -> dict[str, Any]:
        """The figure's part of the document."""
        return {**asdict(self), "is_reached": self.is_reached, "is_certain": self.is_certain}
