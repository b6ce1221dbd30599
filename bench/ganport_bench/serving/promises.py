"""One promise beside what was measured: at least or at most so much."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ganport_bench.timing import Estimate

__all__ = ["Promise"]

Detail = str | float | int


@dataclass(frozen=True)
class Promise:
    """What was promised and what came of it.

    Attributes:
        name: key in documents.
        title: what is compared with what, for people.
        unit: of `estimate` and `wanted`.
        wanted: the bound.
        is_floor: whether the value must be at least that; else at most.
        estimate: what was measured; None where it could not be.
        note: why not, or what else there is to say.
        details: what the figure was computed from, units in their names.
        is_void: whether the figure does not count, for the reason that `note` gives.
    """

    name: str
    title: str
    unit: str
    wanted: float
    is_floor: bool
    estimate: Estimate | None
    note: str = ""
    details: Mapping[str, Detail] = field(default_factory=dict)
    is_void: bool = False

    @property
    def is_reached(self) -> bool:
        """Whether the value is there and on the right side of the bound."""
        return not self.is_void and self.estimate is not None and self._is_right(self.estimate.value)

    @property
    def is_certain(self) -> bool:
        """Whether the whole interval lies on the same side as the value."""
        if self.estimate is None or self.is_void:
            return True
        return self._is_right(self.estimate.low) == self._is_right(self.estimate.high) == self.is_reached

    def to_json(self) -> dict[str, Any]:
        """The promise's part of the document."""
        members = asdict(self)
        estimate = members.pop("estimate") or {"value": None, "low": None, "high": None}
        figures = {"measured": estimate["value"], "low": estimate["low"], "high": estimate["high"]}
        return {**members, **figures, "reached": self.is_reached, "certain": self.is_certain}

    def _is_right(self, value: float) -> bool:
        return value >= self.wanted if self.is_floor else value <= self.wanted
