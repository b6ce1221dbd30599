"""The next batch while it is put together: its parts, and their rows one after another in one array."""

from dataclasses import dataclass
from math import inf
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from ganport_runtime.buckets import TOP
from ganport_runtime.serving.requests import Part

__all__ = ["Batch", "Staging"]

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Batch(Generic[T]):
    """One run of the engine, equal to itself alone.

    Attributes:
        parts: of requests, in the order of their rows.
        images: rows that somebody asked for.
        rows: what the engine gets, with rows of zeros up to the bucket.
        latents_seconds: what making the rows took.
        free_since: when the engine was free for it, on the monotonic clock.
        started: when it went there.
    """

    parts: list[Part[T]]
    images: int
    rows: NDArray[Any]
    latents_seconds: float
    free_since: float
    started: float


class Staging(Generic[T]):
    """Up to `TOP` rows that run next, in one of two arrays in turn: the engine reads the other meanwhile.

    Attributes:
        parts: whose they are.
        count: rows, those of dropped requests included.
        seconds: what making them took.
        earliest: no deadline of theirs is before it.
        has_dropped: whether some are of requests that were dropped.
    """

    def __init__(self, shape: tuple[int, ...], dtype: str) -> None:
        self._arrays = [np.zeros((TOP, *shape), dtype) for _ in range(2)]
        self.parts: list[Part[T]] = []
        self.count = 0
        self.seconds = 0.0
        self.earliest = inf
        self.has_dropped = False

    @property
    def free(self) -> NDArray[Any]:
        """Where further rows go."""
        return self._arrays[0][self.count :]

    def add(self, parts: list[Part[T]], count: int, seconds: float) -> None:
        """Take note of rows that were written into `free`."""
        self.parts += parts
        self.count += count
        self.seconds += seconds
        self.earliest = min(self.earliest, min(part.request.deadline for part in parts))

    def renew(self) -> None:
        """Look up the earliest deadline anew."""
        left = (part.request.deadline for part in self.parts if not part.request.is_settled)
        self.earliest = min(left, default=inf)

    def compact(self) -> None:
        """Take out the rows of requests that were dropped meanwhile."""
        if not self.has_dropped:
            return
        rows, position, kept = self._arrays[0], 0, 0
        for part in self.parts:
            if not part.request.is_settled:
                rows[kept : kept + part.count] = rows[position : position + part.count]  # numpy minds the overlap
                kept += part.count
            position += part.count
        self.parts = [part for part in self.parts if not part.request.is_settled]
        self.count, self.has_dropped = kept, False
        self.renew()

    def cut(self, images: int, bucket: int, free_since: float, now: float) -> Batch[T]:
        """Hand out the first `images` rows as a batch; the others come first in the next one."""
        rows, rest = self._arrays[0], self._arrays[1]
        left = self.count - images
        rest[:left] = rows[images : self.count]
        rows[images:bucket] = 0
        parts, others = _split(self.parts, images)
        for part in parts:
            part.request.staged -= part.count
        batch = Batch(parts, images, rows[:bucket], self.seconds, free_since, now)
        self._arrays = [rest, rows]
        self.parts, self.count, self.seconds = others, left, 0.0
        if not others:
            self.earliest = inf
        return batch


def _split(parts: list[Part[T]], images: int) -> tuple[list[Part[T]], list[Part[T]]]:
    """The parts of the first images, and those of the rest."""
    taken = 0
    for index, part in enumerate(parts):
        if taken + part.count >= images:
            if taken + part.count == images:
                return parts[: index + 1], parts[index + 1 :]
            first, second = part.cut(images - taken)
            return [*parts[:index], first], [second, *parts[index + 1 :]]
        taken += part.count
    return parts, []
