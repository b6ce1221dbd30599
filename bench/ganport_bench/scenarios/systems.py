"""Systems under test: what makes images of the seeds that LoadGen asks for. A sample is a seed's first image."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
from ganport_runtime import Batcher, Generator
from ganport_runtime.buckets import parts
from ganport_runtime.latents import latents_of
from numpy.typing import NDArray

__all__ = ["Batched", "Complete", "InTurn", "Make", "System", "drawing", "nothing"]

Pixels = NDArray[np.uint8]
Make = Callable[[Sequence[int]], Pixels]  # images of seeds, uint8 [seeds, height, width, channels]
Complete = Callable[[Sequence[int], Pixels | BaseException], None]
"""Given the responses' ids, and an image for each or the error that came instead; further images are ignored."""


class System(Protocol):
    """What is measured."""

    def issue(self, ids: Sequence[int], seeds: Sequence[int], complete: Complete) -> None:
        """Take a query of some samples; `complete` may be called in parts, later, and from any thread."""


@dataclass(frozen=True)
class InTurn:
    """Makes the images of a query before it takes the next one.

    Args:
        make: makes them, their latents included.
        batch: seeds of each call; a query's last batch is filled up.
    """

    make: Make
    batch: int

    def issue(self, ids: Sequence[int], seeds: Sequence[int], complete: Complete) -> None:
        """Complete them batch by batch."""
        for part in parts(len(seeds), self.batch):
            wanted = list(seeds[part])
            wanted += [0] * (self.batch - len(wanted))
            complete(ids[part], self.make(wanted))


@dataclass(frozen=True)
class Batched:
    """Hands every sample to a batcher, which completes it from a thread of its own."""

    batcher: Batcher

    def issue(self, ids: Sequence[int], seeds: Sequence[int], complete: Complete) -> None:
        """Queue them."""
        for one, seed in zip(ids, seeds, strict=True):
            self.batcher.submit(seed=seed).add_done_callback(partial(_hand_over, one, complete))


def _hand_over(one: int, complete: Complete, answer: Future[Pixels]) -> None:
    error = answer.exception()
    complete((one,), answer.result() if error is None else error)


def drawing(generator: Generator) -> Make:
    """Makes images as users of a generator do."""

    def make(seeds: Sequence[int]) -> Pixels:
        if len(seeds) == 1:
            return generator.sample(1, seed=seeds[0])
        return generator(latents_of([(seed, 0, 1) for seed in seeds], generator.latent_dim))

    return make


def nothing(generator: Generator, batch: int) -> Make:
    """Answers at once with the same black images: what remains is LoadGen and the way to it."""
    black = np.zeros((batch, *generator.image_shape), np.uint8)
    return lambda _seeds: black
