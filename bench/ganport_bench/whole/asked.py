"""What is asked for: the bundle or run, the parts, the batch sizes, how long; and which parts cannot run here."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ganport_bench.effort import BATCHES, Effort
from ganport_bench.errors import BenchError

__all__ = ["PARTS", "Asked"]

PARTS = ("speed", "nodes", "start", "scenarios", "load")  # in the order in which they run
NEEDS = {  # beside what every part needs
    "start": ("packaging",),
    "scenarios": ("mlperf_loadgen",),
    "load": ("granian", "uvloop", "grpc", "psutil"),
}
LARGEST_BATCH = 4096


@dataclass(frozen=True)
class Asked:
    """What to measure.

    Args:
        target: a bundle or a run directory.
        effort: how long.
        logs: where LoadGen's logs go.
        bundle: what was exported from the run, or None.
        parts: of `PARTS`, each once, in any order; None: all that can run here.
        batches: images a call.

    Raises:
        BenchError: parts or batch sizes that there are not.
    """

    target: Path
    effort: Effort
    logs: Path
    bundle: Path | None = None
    parts: Sequence[str] | None = None
    batches: Sequence[int] = BATCHES

    def __post_init__(self) -> None:
        unknown = [part for part in self.parts or () if part not in PARTS]
        if unknown or self.parts == ():
            raise BenchError(f"parts {', '.join(unknown) or 'are none'}; wanted some of {', '.join(PARTS)}")
        twice = sorted({part for part in self.parts or () if list(self.parts or ()).count(part) > 1})
        if twice:
            raise BenchError(f"parts {', '.join(twice)} twice; name each once")
        if "nodes" in (self.parts or ()) and "speed" not in (self.parts or ()):
            raise BenchError("parts nodes without speed, which finds the fastest plans; name both")
        wrong = not self.batches or min(self.batches) < 1 or max(self.batches) > LARGEST_BATCH
        if wrong or len(set(self.batches)) < len(self.batches):
            raise BenchError(f"batches {list(self.batches)}; wanted different numbers from 1 to {LARGEST_BATCH}")

    @property
    def in_order(self) -> tuple[str, ...]:
        """The parts that are asked for, as they run: some use what others found."""
        return tuple(part for part in PARTS if part in (self.parts or PARTS))

    def lacking(self) -> dict[str, str]:
        """The parts that cannot run here, and why.

        Raises:
            BenchError: one of them was asked for by name.
        """
        found: dict[str, str] = {}
        for part in self.in_order:
            missing = [module for module in NEEDS.get(part, ()) if find_spec(module) is None]
            if missing:
                found[part] = f"{', '.join(missing)} is not installed: pip install 'ganport[bench]'"
        if found and self.parts is not None:
            raise BenchError("; ".join(f"{part}: {why}" for part, why in found.items()))
        return found
