"""Standard normal latents of which image k of a seed depends on (seed, k) alone, bit for bit, on every machine.

Philox turns the counter (block, 0, k low, k high) under the key (seed low, seed high) into four words, and Box and
Muller's transform turns those into the four latents 4 block to 4 block + 3 of image k.
"""

import threading
from collections.abc import Sequence
from typing import SupportsIndex

import numpy as np
from numpy.typing import NDArray

from ganport_runtime.checks import allocate, whole_number
from ganport_runtime.errors import InputError
from ganport_runtime.normal import BoxMuller
from ganport_runtime.philox import HIGH, LOW, MASK, Philox

__all__ = ["LIMIT", "image_range", "latents", "latents_of"]

LIMIT = 2**64  # seeds, and images of one seed
MAX_DIM = 2**31 - 1
WORDS = 4  # latents that one Philox block makes
CHUNK = 2048  # blocks worked on at a time, 64 images of 128 numbers: their arrays fit a core's own cache
KEPT = 8  # workspaces of different sizes that a thread keeps


def latents(seed: SupportsIndex, start: SupportsIndex, count: SupportsIndex, dim: SupportsIndex) -> NDArray[np.float32]:
    """The latents of the images `start` to `start + count - 1` of a seed.

    Args:
        seed: 0 to 2^64 - 1.
        start: the first image, 0 to 2^64 - 1.
        count: how many images, 0 or more; `start + count` is at most 2^64.
        dim: numbers an image, 1 or more.

    Returns:
        float32 [count, dim], standard normal. Row i depends on `seed` and `start + i` alone; a smaller `dim` gives the
        first numbers of the same rows.

    Raises:
        InputError: an argument is no whole number or out of its range, or the result does not fit in memory.
    """
    key, first, images = image_range(seed, start, count)
    size = whole_number("dim", dim, 1, MAX_DIM)
    blocks = -(-size // WORDS)
    flat = allocate((images, blocks * WORDS), np.float32)
    numbers = flat.reshape(images, blocks, 2, 2)
    rows, columns = max(1, CHUNK // blocks), min(blocks, CHUNK)
    for row in range(0, images, rows):
        for column in range(0, blocks, columns):
            tile = numbers[row : row + rows, column : column + columns]
            _workspace(tile.shape[0], tile.shape[1]).fill(tile, key, first + row, column)
    return flat if size == blocks * WORDS else np.ascontiguousarray(flat[:, :size])


def latents_of(
    ranges: Sequence[tuple[int, int, int]], dim: int, out: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """The latents of images of many seeds, made in one go and equal to those of `latents` bit for bit.

    Args:
        ranges: (seed, start, count) of each, as `image_range` gives them.
        dim: numbers an image, 1 or more.
        out: float32 [all counts, dim], contiguous, to be written into; None: a new array.

    Returns:
        float32 [all counts, dim]: the rows of the first range, then those of the second, and so on.
    """
    seeds, starts, counts = np.array(ranges, np.uint64).reshape(-1, 3).T
    counts = counts.astype(np.intp)
    ends = np.cumsum(counts)
    images = np.repeat(starts - (ends - counts).astype(np.uint64), counts) + np.arange(counts.sum(), dtype=np.uint64)
    blocks = -(-dim // WORDS)
    is_direct = out is not None and dim == blocks * WORDS
    flat = out if out is not None and is_direct else np.empty((len(images), blocks * WORDS), np.float32)
    _fill_rows(flat.reshape(-1, blocks, 2, 2), np.repeat(seeds, counts), images)
    if out is None:
        return flat if dim == blocks * WORDS else np.ascontiguousarray(flat[:, :dim])
    if not is_direct:
        out[...] = flat[:, :dim]
    return out


def _fill_rows(numbers: NDArray[np.float32], seeds: NDArray[np.uint64], images: NDArray[np.uint64]) -> None:
    """Write the latents of each row's seed and image into float32 [rows, blocks, 2, 2]."""
    blocks = numbers.shape[1]
    rows, columns = max(1, CHUNK // blocks), min(blocks, CHUNK)
    for row in range(0, len(numbers), rows):
        count = min(rows, len(numbers) - row)
        size = min(rows, 1 << (count - 1).bit_length())  # of few sizes, so that workspaces are found again
        for column in range(0, blocks, columns):
            tile = numbers[row : row + count, column : column + columns]
            _workspace(size, tile.shape[1]).fill_rows(tile, seeds[row : row + count], images[row : row + count], column)


def image_range(seed: SupportsIndex, start: SupportsIndex, count: SupportsIndex) -> tuple[int, int, int]:
    """Seed, start and count as Python integers.

    Raises:
        InputError: one is no whole number, or there are no such images.
    """
    first, number = whole_number("start", start, 0, LIMIT - 1), whole_number("count", count, 0, LIMIT)
    if first + number > LIMIT:
        raise InputError(f"start {first} and count {number} go past the last image of a seed, 2^64 - 1")
    return whole_number("seed", seed, 0, LIMIT - 1), first, number


class _Workspace:
    """Every buffer for one tile of `images` x `blocks` Philox blocks."""

    def __init__(self, images: int, blocks: int) -> None:
        size = images * blocks
        self.seed = -1
        self.philox = Philox(size)
        self.transform = BoxMuller(2 * size)
        self.odd = (self.transform.second[:size], self.transform.second[size:])
        self.blocks = np.tile(np.arange(blocks, dtype=np.uint32), images)
        self.images = np.repeat(np.arange(images, dtype=np.uint64), blocks)
        self.image = np.zeros(size, np.uint64)
        halves = self.image.view(np.uint32)
        self.image_low, self.image_high = halves[LOW::2], halves[HIGH::2]
        self.radius = self.transform.radius.reshape(1, 2, images, blocks)
        self.waves = self.transform.waves.reshape(2, 2, images, blocks)

    def fill(self, tile: NDArray[np.float32], seed: int, image: int, block: int) -> None:
        """Write the latents from image `image` and block `block` on into `tile`, float32 [images, blocks, 2, 2]."""
        if seed != self.seed:
            self.philox.set_key((seed & MASK, seed >> 32))
            self.seed = seed
        np.add(self.images, np.uint64(image), self.image)
        self._run(block)
        np.multiply(self.waves, self.radius, tile.transpose(3, 2, 0, 1), casting="same_kind")

    def fill_rows(
        self, tile: NDArray[np.float32], seeds: NDArray[np.uint64], images: NDArray[np.uint64], block: int
    ) -> None:
        """The same with a seed and an image for each row; there may be fewer rows than fit."""
        count, blocks = tile.shape[:2]
        keys = np.repeat(seeds, blocks).view(np.uint32)
        self.philox.set_keys(keys[LOW::2], keys[HIGH::2])
        self.seed = -1
        self.image[: count * blocks] = np.repeat(images, blocks)
        self._run(block)
        waves, radius = self.waves[:, :, :count], self.radius[:, :, :count]
        np.multiply(waves, radius, tile.transpose(3, 2, 0, 1), casting="same_kind")

    def _run(self, block: int) -> None:
        """Set `waves` and `radius` from the keys, the images and the first block."""
        c0, c1, c2, c3 = self.philox.counter
        np.add(self.blocks, np.uint32(block), c0)
        c1.fill(0)
        np.copyto(c2, self.image_low)
        np.copyto(c3, self.image_high)
        self.philox.run(self.transform.first, self.odd)
        self.transform.run()


class _Local(threading.local):
    """The workspaces of one thread, by tile size."""

    def __init__(self) -> None:
        self.workspaces: dict[tuple[int, int], _Workspace] = {}


_local = _Local()


def _workspace(images: int, blocks: int) -> _Workspace:
    kept = _local.workspaces
    workspace = kept.get((images, blocks))
    if workspace is None:
        if len(kept) >= KEPT:
            kept.clear()
        workspace = kept[images, blocks] = _Workspace(images, blocks)
    return workspace
