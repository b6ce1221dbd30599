"""The generator: latents in, images out."""

from collections.abc import Iterator, Mapping
from typing import SupportsIndex

import numpy as np
from numpy.typing import NDArray

from ganport_runtime.backends import Tensor
from ganport_runtime.batches import TOP, parts
from ganport_runtime.bundle import Bundle
from ganport_runtime.checks import batch_of, whole_number
from ganport_runtime.latents import LIMIT, LatentRows, image_range, latents
from ganport_runtime.manifest import Manifest
from ganport_runtime.network import Network
from ganport_runtime.opening import Running

__all__ = ["Generator"]


class Generator(Network):
    """The generator of a bundle.

    Example:
        with Generator.open("emoji.ganport") as generator:
            images = generator.sample(16, seed=7)
    """

    role = "generator"

    def __init__(self, bundle: Bundle, running: Mapping[int, Running]) -> None:
        super().__init__(bundle, running)
        self._latents = LatentRows(self.latent_dim)

    @classmethod
    def signature(cls, manifest: Manifest) -> tuple[Tensor, ...]:
        """`z` float32 [batch, latent_dim], `image` uint8 [batch, height, width, channels]."""
        info = manifest.generator
        return Tensor("z", "float32", (None, info.latent.dim)), Tensor("image", "uint8", (None, *info.image.shape))

    @property
    def latent_dim(self) -> int:
        """Numbers in one latent vector."""
        return self.bundle.manifest.generator.latent.dim

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of one image."""
        return self.bundle.manifest.generator.image.shape

    def __call__(self, z: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Images of your own latents.

        Args:
            z: float32 [n, latent_dim], finite; n may be 0 or as large as memory allows.

        Returns:
            uint8 [n, height, width, channels].

        Raises:
            InputError: `z` has another dtype or shape, or holds NaN or infinity.
            ClosedError: the generator is closed.
            PlanError: the engine failed.
        """
        return self._run("image", batch_of("z", z, "float32", (self.latent_dim,)))

    def sample(self, count: SupportsIndex, *, seed: SupportsIndex = 0, start: SupportsIndex = 0) -> NDArray[np.uint8]:
        """The images `start` to `start + count - 1` of a seed.

        Image k of a seed has the same latents whatever the count, the start and the machine.

        Args:
            count: how many, 0 or more.
            seed: 0 to 2^64 - 1.
            start: the first image, 0 to 2^64 - 1.

        Returns:
            uint8 [count, height, width, channels].

        Raises:
            InputError: an argument is no whole number or out of its range.
            ClosedError: the generator is closed.
            PlanError: the engine failed.
        """
        key, first, number = image_range(seed, start, count)
        if number <= TOP:
            return self._run("image", self._latents.take(key, first, number))
        self._opened()
        images = self._empty("image", number)
        for part, batch in zip(parts(number), self._stream(key, first, number, TOP), strict=True):
            images[part] = batch
        return images

    def stream(
        self, count: SupportsIndex, *, seed: SupportsIndex = 0, start: SupportsIndex = 0, batch: SupportsIndex = TOP
    ) -> Iterator[NDArray[np.uint8]]:
        """The images of `sample`, `batch` at a time, in memory that does not grow with the count.

        Yields:
            uint8 [batch, height, width, channels]; the last one may be shorter.

        Raises:
            InputError: at once, an argument is no whole number or out of its range.
            ClosedError: the generator is closed.
            PlanError: the engine failed.
        """
        key, first, number = image_range(seed, start, count)
        size = whole_number("batch", batch, 1, LIMIT)
        self._opened()
        return self._stream(key, first, number, size)

    def _stream(self, seed: int, start: int, count: int, batch: int) -> Iterator[NDArray[np.uint8]]:
        for part in parts(count, batch):
            z = latents(seed, start + part.start, part.stop - part.start, self.latent_dim)
            yield self._run("image", z)
