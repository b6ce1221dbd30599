"""Lives of processes that take turns, from the start of the interpreter to the largest batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ganport_runtime.buckets import BUCKETS

from ganport_bench.errors import BenchError
from ganport_bench.start.fresh import Step, live
from ganport_bench.start.gpu_memory import GpuMemory
from ganport_bench.start.way import Way
from ganport_bench.start.ways import OnMissing
from ganport_bench.timing import Seconds, interleave

__all__ = ["Lived", "Lives", "live_in_turns"]


class Lives:
    """A system whose turn is a whole process; it keeps the steps of each.

    Args:
        way: what the process does.
        batches: at which it draws.
        calls: at each batch size, after the first.
        gpus: where GPU memory is looked at.
        is_first: whether each opening is the first on this machine, so that plans must pass the bundle's probe.
    """

    def __init__(
        self, way: Way, batches: Sequence[int], calls: int, gpus: GpuMemory | None, *, is_first: bool = False
    ) -> None:
        self.way = way
        self._counts = (",".join(map(str, batches)), str(calls))
        self._gpus, self._is_first = gpus, is_first
        self._taken: list[list[Step]] = []

    def __call__(self) -> float:
        """Live once; the seconds of all steps."""
        if self._is_first:
            self.way.forget_probes()
        way = self.way
        steps = live(way.task, *self._counts, *way.words, environment=way.environment, gpus=self._gpus)
        self._taken.append(steps)
        return sum(step.seconds for step in steps)

    def try_out(self) -> None:
        """Live once for the file cache and byte code alone.

        Raises:
            BenchError: it fails.
        """
        self()
        self._taken.clear()

    def steps(self, name: str) -> list[Step]:
        """One step of every life."""
        return [step for steps in self._taken for step in steps if step.name == name]

    def seconds(self, *names: str) -> Seconds:
        """What these steps took together, float64 [lives]."""
        each = [[step.seconds for step in self.steps(name)] for name in names]
        return np.array([sum(steps) for steps in zip(*each, strict=True)])


@dataclass(frozen=True)
class Lived:
    """All lives, by the names of their ways.

    Attributes:
        usual: openings of what was opened here before, and all batch sizes.
        first: openings for the first time on this machine, and one image; of ganport's ways alone.
    """

    usual: Mapping[str, Lives]
    first: Mapping[str, Lives]


def live_in_turns(ways: Sequence[Way], rounds: int, calls: int, gpus: GpuMemory | None, on_missing: OnMissing) -> Lived:
    """Live by every way in turns; one that fails when it is tried is left out, and told of."""
    usual: dict[str, Lives] = {}
    first: dict[str, Lives] = {}
    for way in ways:
        lives = Lives(way, BUCKETS, calls, gpus)
        try:
            lives.try_out()
        except BenchError as error:
            on_missing(way.name, str(error))
            continue
        usual[way.name] = lives
        if way.cache is not None:
            first[way.name] = Lives(way, BUCKETS[:1], 1, gpus, is_first=True)
    openings = {f"{name}, first": lives for name, lives in first.items()}
    if usual:
        interleave({**usual, **openings}, rounds=rounds, warmup=0)
    return Lived(usual, first)
