"""All that one run of the benchmark found, and its JSON document."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ganport_bench.effort import Effort

if TYPE_CHECKING:
    from ganport_bench.load import Load
    from ganport_bench.nodes import Nodes
    from ganport_bench.scenarios import Scenarios
    from ganport_bench.speed import Speed
    from ganport_bench.start import Start

__all__ = ["Found", "Whole", "to_json"]

FORMAT = 2


@dataclass
class Found:
    """What the parts found; None where a part was not run."""

    speed: "Speed | None" = None
    nodes: "Nodes | None" = None
    start: "Start | None" = None
    scenarios: "Scenarios | None" = None
    load: "Load | None" = None


@dataclass(frozen=True)
class Whole:
    """Everything.

    Attributes:
        machine: facts before and after.
        model: what was measured.
        effort: how long everything was measured.
        found: by the parts.
        skipped: the parts that could not run, and why.
        took_seconds: by part, tuning among them.
    """

    machine: Mapping[str, Any]
    model: Mapping[str, Any]
    effort: Effort
    found: Found
    skipped: Mapping[str, str]
    took_seconds: Mapping[str, float]

    @property
    def is_quick(self) -> bool:
        """Few rounds."""
        return self.effort.is_quick


def to_json(whole: Whole) -> dict[str, Any]:
    """The document of `--json`."""
    found = whole.found
    parts = {"nodes": found.nodes, "start": found.start, "scenarios": found.scenarios, "load": found.load}
    return {
        "format": FORMAT,
        "is_quick": whole.is_quick,
        "effort": {
            "tuning_seconds": whole.effort.tuning_seconds,
            "rounds": whole.effort.rounds,
            "turn_seconds": whole.effort.turn_seconds,
            "seconds_a_batch_size": whole.effort.batch_seconds,
        },
        "machine": dict(whole.machine),
        "model": dict(whole.model),
        **({} if found.speed is None else found.speed.to_json()),
        **{name: part.to_json() for name, part in parts.items() if part is not None},
        "skipped": dict(whole.skipped),
        "took_seconds": {name: round(seconds, 1) for name, seconds in whole.took_seconds.items()},
    }
