"""Latents of one generator, kept a few images ahead of a caller who asks for one image after another."""

import numpy as np
from numpy.typing import NDArray

from ganport_runtime.latents import LIMIT, latents

__all__ = ["LatentRows"]

AHEAD = 16  # images: sixteen of 100 numbers take twice as long as one


class LatentRows:
    """The rows of `latents`, equal to them bit for bit.

    A call that goes on where the last one ended makes `AHEAD` images at once; other calls make what they ask for, so
    nothing is made for nothing where every call has a seed of its own. Threads may share it: what is kept is replaced
    in one step and never written to.
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self._kept: tuple[int, int, NDArray[np.float32]] = (-1, 0, np.empty((0, dim), np.float32))

    def take(self, seed: int, start: int, count: int) -> NDArray[np.float32]:
        """The latents of the images `start` to `start + count - 1`, float32 [count, dim]; not to be written to."""
        kept_seed, first, rows = self._kept
        offset = start - first
        if seed == kept_seed and 0 <= offset <= len(rows) - count:
            return rows[offset : offset + count]
        goes_on = seed == kept_seed and offset == len(rows)
        wanted = min(max(count, AHEAD), LIMIT - start) if goes_on else count
        rows = latents(seed, start, wanted, self.dim)
        if wanted <= AHEAD:
            self._kept = (seed, start, rows)
        return rows[:count]
