"""Compares the responses that LoadGen kept of a timed run with `Generator.sample`, bit for bit."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from ganport_runtime import Generator
from ganport_runtime.differences import Difference, compare
from numpy.typing import NDArray

from ganport_bench.scenarios.log import Log

__all__ = ["Check", "check_responses", "expecting"]


@dataclass(frozen=True)
class Check:
    """What was compared.

    Attributes:
        checked: responses that LoadGen kept.
        differing: of them that are not the same bytes.
        difference: of those that are images at all, from what they should be; None where there are none.
    """

    checked: int
    differing: int
    difference: Difference | None

    @property
    def correct(self) -> bool:
        """Whether there was something to compare and all of it is right."""
        return self.checked > 0 and self.differing == 0


def expecting(generator: Generator, bucket: int) -> Callable[[int], NDArray[np.uint8]]:
    """The first image of a seed, made by the plan and at the size of that bucket: others may round otherwise."""
    return lambda seed: generator.sample(bucket, seed=seed)[0]


def check_responses(log: Log, expected: Callable[[int], NDArray[np.uint8]]) -> Check:
    """Compare each response that was kept with the image of its seed."""
    seeds = {seed for seed, _ in log.responses}
    images = {seed: expected(seed) for seed in seeds}
    differing = [(data, images[seed]) for seed, data in log.responses if data != images[seed].tobytes()]
    pairs = [(np.frombuffer(data, np.uint8), image) for data, image in differing if len(data) == image.nbytes]
    made = [pixels.reshape(image.shape) for pixels, image in pairs]
    difference = compare(np.stack(made), np.stack([image for _, image in pairs])) if pairs else None
    return Check(len(log.responses), len(differing), difference)
