"""What a batcher does for each of the two networks: rows made of requests, a run, an answer made of its outputs."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ganport_runtime.discriminator import Discriminator
from ganport_runtime.generator import Generator
from ganport_runtime.latents import latents_of
from ganport_runtime.network import Network
from ganport_runtime.serving.reports import Scores
from ganport_runtime.serving.requests import Part

__all__ = ["Examining", "Generating", "Work"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Work(Protocol[T_co]):
    """Rows in, rows out.

    Attributes:
        network: what runs.
        shape: of one row that goes in.
        dtype: of it.
    """

    network: Network
    shape: tuple[int, ...]
    dtype: str

    def fill(self, rows: NDArray[Any], parts: Sequence[Part[Any]]) -> None:
        """Write the rows of the parts, one after another, into `rows`."""

    def run(self, rows: NDArray[Any]) -> list[NDArray[Any]]:
        """The outputs of a batch that fills a bucket, into arrays that are the caller's."""

    def sample(self, count: int) -> NDArray[Any]:
        """Rows to warm and measure with."""

    def nothing(self) -> list[NDArray[Any]]:
        """The outputs of no rows."""

    def answer(self, outputs: Sequence[NDArray[Any]]) -> T_co:
        """What a caller gets of the outputs that are its own."""


class Generating:
    """Seeds or latents to images."""

    dtype = "float32"

    def __init__(self, generator: Generator) -> None:
        self.network: Network = generator
        self.dim = generator.latent_dim
        self.shape: tuple[int, ...] = (self.dim,)

    def fill(self, rows: NDArray[Any], parts: Sequence[Part[Any]]) -> None:
        """Make the latents of all that came as seeds in one go."""
        ranges, places, position = [], [], 0
        for part in parts:
            place = slice(position, position + part.count)
            source = part.request.source
            if isinstance(source, tuple):
                ranges.append((source[0], source[1] + part.first, part.count))
                places.append(place)
            else:
                rows[place] = source[part.first : part.first + part.count]
            position = place.stop
        if len(places) == len(parts):
            latents_of(ranges, self.dim, out=rows)
        elif ranges:
            made = latents_of(ranges, self.dim)
            _scatter(made, rows, places)

    def run(self, rows: NDArray[Any]) -> list[NDArray[Any]]:
        """The images."""
        return self.network.run_bucket(("image",), rows)

    def sample(self, count: int) -> NDArray[Any]:
        """Latents of a seed."""
        return latents_of([(0, 0, count)], self.dim)

    def nothing(self) -> list[NDArray[Any]]:
        """No images."""
        return self.network.empty(("image",), 0)

    def answer(self, outputs: Sequence[NDArray[Any]]) -> NDArray[np.uint8]:
        """The images."""
        return outputs[0]


class Examining:
    """Images to logits and features."""

    dtype = "uint8"

    def __init__(self, discriminator: Discriminator) -> None:
        self.network: Network = discriminator
        self.shape: tuple[int, ...] = discriminator.image_shape

    def fill(self, rows: NDArray[Any], parts: Sequence[Part[Any]]) -> None:
        """Copy the images into one batch."""
        position = 0
        for part in parts:
            rows[position : position + part.count] = part.request.source[part.first : part.first + part.count]
            position += part.count

    def run(self, rows: NDArray[Any]) -> list[NDArray[Any]]:
        """Logits and features of one run."""
        return self.network.run_bucket(("logit", "features"), rows)

    def sample(self, count: int) -> NDArray[Any]:
        """Noise."""
        return np.random.default_rng(0).integers(0, 256, (count, *self.shape), np.uint8)

    def nothing(self) -> list[NDArray[Any]]:
        """No logits, no features."""
        return self.network.empty(("logit", "features"), 0)

    def answer(self, outputs: Sequence[NDArray[Any]]) -> Scores:
        """Logits and features side by side."""
        return Scores(outputs[0], outputs[1])


def _scatter(made: NDArray[Any], rows: NDArray[Any], places: Sequence[slice]) -> None:
    position = 0
    for place in places:
        count = place.stop - place.start
        rows[place] = made[position : position + count]
        position += count
