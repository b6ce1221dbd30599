"""A figure with its interval, and the threshold that it is held against."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ganport_bench.tables import Table, between, number
from ganport_bench.timing import Estimate

# Mean PSNR in dB to the reference.
EXACT_DB = 55.0  # images of float32 arithmetic: the gate that every fp32 export passes
WANTED_DB = 38.0  # the thresholds of speed hold for plans of at least this
FLOOR_DB = 35.0  # images of a lower precision are wrong below it; the export ships no such variant


@dataclass(frozen=True)
class Figure:
    """What was measured, and whether it reaches its threshold."""

    name: str  # key in documents
    title: str  # what is compared with what
    unit: str  # of `estimate` and `wanted`
    estimate: Estimate | None  # value and 95 % interval; None where it could not be measured
    wanted: float | None = None  # the threshold, or None
    is_floor: bool = True  # the value must be at least `wanted`; else at most
    # what the figure was computed from, units in their names. `plan` and `peer`, with `plan_images_per_second`
    # and `peer_images_per_second`, are shown as "one over the other".
    details: Mapping[str, str | float | int] = field(default_factory=dict)
    note: str = ""  # what else there is to say
    is_void: bool = False  # the figure does not count, for the reason in `note`

    @property
    def is_reached(self) -> bool:
        """Whether there is a value and it is on the right side of the threshold."""
        return not self.is_void and self.estimate is not None and self._is_right(self.estimate.value)

    @property
    def is_certain(self) -> bool:
        """Whether the whole interval is on the same side of the threshold as the value."""
        if self.estimate is None or self.is_void:
            return True
        return self._is_right(self.estimate.low) == self._is_right(self.estimate.high) == self.is_reached

    def _is_right(self, value: float) -> bool:
        if self.wanted is None:
            return True
        return value >= self.wanted if self.is_floor else value <= self.wanted

    def to_json(self) -> dict[str, Any]:
        """Its part of a document."""
        return {**asdict(self), "is_reached": self.is_reached, "is_certain": self.is_certain}


def figures_table(title: str, figures: Iterable[Mapping[str, Any]]) -> Table:
    """A row for each figure, as `Figure.to_json` or an older version wrote it."""
    columns = ("what", "measured", "95 % interval", "wanted", "reached", "from")
    return Table(title, columns, [_cells(figure) for figure in figures])


def _cells(figure: Mapping[str, Any]) -> tuple[str, ...]:
    found, unit = figure["estimate"], "x" if figure["unit"] == "x" else f" {figure['unit']}"
    side = "at least" if figure.get("is_floor", True) else "at most"
    wanted = "" if figure["wanted"] is None else f"{side} {number(figure['wanted'])}{unit}".strip()
    told = "; ".join(text for text in (_details(figure["details"]), figure.get("note", "")) if text)
    if found is None:
        return figure["title"], "not measured", "", wanted, "no", told
    doubt = "" if figure["is_certain"] else ", within the noise"
    reached = "no: void" if figure.get("is_void") else ("yes" if figure["is_reached"] else "no") + doubt
    measured = f"{number(found['value'])}{unit}".strip()
    return figure["title"], measured, between(found["low"], found["high"]), wanted, reached if wanted else "", told


def _details(details: Mapping[str, str | float | int]) -> str:
    sides = [name for name in ("plan", "peer") if name in details]
    if sides:
        return " over ".join(_side(details, name) for name in sides)
    return ", ".join(f"{name} {value if isinstance(value, str) else number(value)}" for name, value in details.items())


def _side(details: Mapping[str, str | float | int], name: str) -> str:
    rate = details.get(f"{name}_images_per_second")
    return str(details[name]) + (f" ({number(rate)} images/s)" if isinstance(rate, int | float) else "")
