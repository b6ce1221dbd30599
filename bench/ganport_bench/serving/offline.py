"""The same generator without a server: a process of its own that calls it again and again, and knows the images."""

import os
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from ganport_runtime import Generator
from ganport_runtime.buckets import TOP
from numpy.typing import NDArray

from ganport_bench.client.outcome import GoldenImages
from ganport_bench.client.processes import Worker
from ganport_bench.serving.usage import NICENESS

__all__ = ["Calls", "Offline", "Plan"]

WARM_CALLS = 4
_opened: list[Generator] = []  # of the worker's process


@dataclass(frozen=True)
class Plan:
    """What the generator runs.

    Attributes:
        text: the plan as the runtime says it.
        precision: what it computes with.
        image_bytes: of one image.
        latent_dim: numbers in one latent vector.
        image_shape: (height, width, channels).
    """

    text: str
    precision: str
    image_bytes: int
    latent_dim: int
    image_shape: tuple[int, int, int]


@dataclass(frozen=True)
class Calls:
    """Calls in a row.

    Attributes:
        images: of one call.
        seconds: of each, float64 [calls].
        cpu_seconds: of the process, all of them together.
    """

    images: int
    seconds: NDArray[np.float64]
    cpu_seconds: float

    @property
    def images_per_second(self) -> float:
        """Over all of them."""
        return self.images * len(self.seconds) / float(self.seconds.sum())


class Offline:
    """A bundle's generator in a process of its own; to be used as a context manager.

    Args:
        bundle: opened there.
        precision: that is asked for; `auto`: the fastest plan known.
    """

    def __init__(self, bundle: Path, precision: str) -> None:
        with ExitStack() as stack:
            self._worker = stack.enter_context(Worker("the generator without a server"))
            self.plan = self._worker(_open, str(bundle), precision)
            stack.callback(self._worker, _close)
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def expected(self, seeds: int) -> GoldenImages:
        """The first image of that many seeds, each made alone."""
        return GoldenImages(self._worker(_images, seeds))

    def calls(self, seconds: float, images: int = TOP) -> Calls:
        """`sample(images)` again and again, with another seed each time."""
        return self._worker(_calls, seconds, images)


def _open(bundle: str, precision: str) -> Plan:
    os.nice(NICENESS)  # as the servers are
    generator = Generator.open(bundle, precision=precision, one_plan=True)  # as servers do
    _opened.append(generator)
    shape = generator.image_shape
    return Plan(str(generator.plan), generator.plan.precision, int(np.prod(shape)), generator.latent_dim, shape)


def _close() -> None:
    _opened.pop().close()


def _images(seeds: int) -> list[bytes]:
    return [_opened[0].sample(1, seed=seed).tobytes() for seed in range(seeds)]


def _calls(seconds: float, images: int) -> Calls:
    sample = _opened[0].sample
    for seed in range(WARM_CALLS):
        sample(images, seed=seed)
    times, seed, cpu = [time.perf_counter()], WARM_CALLS, time.process_time()
    end = times[0] + seconds
    while times[-1] < end:
        sample(images, seed=seed)
        seed += 1
        times.append(time.perf_counter())
    return Calls(images, np.diff(times), time.process_time() - cpu)
