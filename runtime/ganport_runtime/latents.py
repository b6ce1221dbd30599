"""Standard normal latents: image k of a seed depends on (seed, k) alone, bit for bit, on every machine.

The same latents are wanted in other languages (a browser, C++) and on machines whose libm or SIMD rounds otherwise, so
numpy's generators and its log, sin and cos cannot be used.

Words: Philox 4x32-10 (J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw: Parallel Random Numbers: As Easy as 1, 2, 3.
SC11, 2011) turns the counter (block, 0, k low, k high) under the key (seed low, seed high) into four 32-bit words. One
round takes the words (c0, c1, c2, c3) and the round's keys (k0, k1) to
(hi(M1 c2) ^ c1 ^ k0, lo(M1 c2), hi(M0 c0) ^ c3 ^ k1, lo(M0 c0)). Both lanes, c0 with c1 and c2 with c3, are in one
array, and the halves of the 64-bit products are views of it: at a hundred latents the time goes into the number of
numpy calls, and this takes four a round.

Normal numbers: Box and Muller's transform (1958). With u = (word + 1/2) / 2^32, two words make
sqrt(-2 ln u1) cos(2 pi u2) and sqrt(-2 ln u1) sin(2 pi u2); a block makes the latents 4 block to 4 block + 3 of image
k. Logarithm, sine and cosine are polynomials of additions, multiplications, divisions and square roots of float64,
which IEEE 754 rounds in one way only. Each is its own numpy call, so that no compiler can fuse two into one rounding.
Their error is below 1e-11 of the value, far under float32's rounding.
"""

import sys
import threading
from collections.abc import Sequence
from typing import SupportsIndex

import numpy as np
from numpy.typing import NDArray

from ganport_runtime.errors import InputError, allocate, whole_number

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)  # what the keys grow by each round
MASK = 0xFFFFFFFF
STEPS = np.array([[[r * step & MASK] for step in WEYL] for r in range(ROUNDS)], np.uint32)

# Where the two halves of a 64-bit integer lie in a view of it as 32-bit ones.
LOW, HIGH = (0, 1) if sys.byteorder == "little" else (1, 0)
SMALL = 256  # pairs up to which constants are spread out, as numpy takes equal shapes three times faster
# Chebyshev fits (mpmath.chebyfit, 40 digits) in the square of the argument, highest power first:
# -4 atanh(s) / s for s up to (sqrt(2) - 1) / (sqrt(2) + 1), then -cos(2 pi v) / (1/16 - v^2) and
# -sin(2 pi v) / (v (1/4 - v^2)) for v up to 1/2. The zeros divided out are multiplied in again exactly, so that the
# relative error stays small beside them too.
COEFFICIENTS = np.array(
    [
        [-0.2961942072131055, 0.24574572357211827, 0.09017178396709614],
        [-0.3062505629672838, -1.6833741610966308, -0.6883658123820553],
        [-0.36367263360458657, 7.794645527703591, 3.64582318202742],
        [-0.44444394113453096, -25.938584048228826, -14.182846042099465],
        [-0.5714285752128336, 58.62343828388291, 38.51294846795538],
        [-0.7999999999860468, -81.79285035177536, -67.07762070296118],
        [-1.333333333333353, 59.82734082709189, 64.83584404417527],
        [-4.0, -15.999999999984832, -25.132741228713364],
    ]
)
ZEROS = np.array([[0.25], [0.5]])  # of cos(2 pi v) and sin(2 pi v)
# 0-d arrays: numpy takes them faster than Python's numbers.
MAGIC_BITS = 0x43300000  # the upper half of the float64 2^52 + w, whose lower half is the integer w itself
MAGIC = np.array(2.0**52 - 0.5)
TO_UNIT = np.array(2.0**-32)
HALF = np.array(0.5)
ONE = np.array(1.0)
ROOT_HALF_BITS = np.array(0x3FE6A09E667F3BCD, np.int64)  # of the float64 sqrt(1/2)
MANTISSA_BITS = np.array(52, np.int64)
MANTISSA = np.array(2**52 - 1, np.int64)
MINUS_TWO_LN_2 = np.array(-1.3862943611198906)
LIMIT = 2**64  # seeds, and images of one seed
MAX_DIM = 2**31 - 1
WORDS = 4  # latents that one Philox block makes
CHUNK = 2048  # blocks worked on at a time, 64 images of 128 numbers: their arrays fit a core's own cache
KEPT = 8  # workspaces of different sizes that a thread keeps
AHEAD = 16  # images: sixteen of 100 numbers take twice as long as one


class Philox:
    """Encrypts `blocks` counters, uint32 views that `run` overwrites, in buffers of its own: for one thread only."""

    def __init__(self, blocks: int) -> None:
        self.blocks = blocks
        self.counter = [np.zeros(0, np.uint32)] * 4
        self._factors = np.repeat(np.array(MULTIPLIERS, np.uint64), blocks)
        self._state = np.zeros(2 * blocks, np.uint64)  # c0, c2 in the low halves, zeros in the high ones
        self._even = self._state.view(np.uint32)[LOW::2]
        self._products = [_Products(blocks), _Products(blocks)]
        self._keys = np.zeros((ROUNDS, 2, blocks), np.uint32)
        self._round_keys = list(self._keys.reshape(ROUNDS, 2 * blocks))
        self._lanes = (self._even[:blocks], self._even[blocks:])
        # c1 and c3 of a round are the low products of the round before, so the first round's stand in their place.
        self.counter = [self._lanes[0], self._products[1].low[1], self._lanes[1], self._products[1].low[0]]

    def set_key(self, key: tuple[int, int]) -> None:
        """Set the two 32-bit words of the key."""
        np.add(np.array(key, np.uint32)[:, None], STEPS, self._keys)

    def set_keys(self, low: NDArray[np.uint32], high: NDArray[np.uint32]) -> None:
        """Set the two words of the key of each of the first blocks, uint32 [count]; the others keep some key."""
        for word, keys in enumerate((low, high)):
            np.add(keys, STEPS[:, word], self._keys[:, word, : len(keys)])

    def run(self, even: NDArray[np.uint32], odd: tuple[NDArray[np.uint32], NDArray[np.uint32]]) -> None:
        """Encrypt: `even` receives the words 0 of all blocks, then the words 2; `odd` the words 1 and the words 3."""
        before, now = self._products[1], self._products[0]
        for keys in self._round_keys[:-1]:
            self._round(before, now, keys, self._even)
            before, now = now, before
        self._round(before, now, self._round_keys[-1], even)
        np.copyto(odd[0], now.low[1])
        np.copyto(odd[1], now.low[0])

    def _round(self, before: "_Products", now: "_Products", keys: NDArray[np.uint32], even: NDArray[np.uint32]) -> None:
        np.multiply(self._state, self._factors, now.both)
        np.bitwise_xor(now.high[1], before.low[1], self._lanes[0])
        np.bitwise_xor(now.high[0], before.low[0], self._lanes[1])
        np.bitwise_xor(self._even, keys, even)


class _Products:
    """The 64-bit products of both lanes, with views of their halves lane by lane."""

    def __init__(self, blocks: int) -> None:
        self.both = np.zeros(2 * blocks, np.uint64)
        halves = self.both.view(np.uint32)
        low, high = halves[LOW::2], halves[HIGH::2]
        self.low = (low[:blocks], low[blocks:])
        self.high = (high[:blocks], high[blocks:])


class BoxMuller:
    """Transforms `size` pairs at a time, in buffers of its own: for one thread only.

    Set `first` and `second`, uint32 [size], the words of u1 and u2. `run` then sets `radius`, float64 [size],
    sqrt(-2 ln u1), and `waves`, float64 [2, size], cos and sin of 2 pi u2.
    """

    def __init__(self, size: int) -> None:
        words = np.full(4 * size, MAGIC_BITS, np.uint32)
        low = words[LOW::2]
        self.first, self.second = low[:size], low[size:]
        self.radius = np.zeros(size)
        self.waves = np.zeros((2, size))
        self._words = words.view(np.float64)
        self._unit = np.zeros((2, size))
        self._bits = np.zeros(size, np.int64)
        self._exponent = np.zeros(size, np.int64)
        self._mantissa = self._bits.view(np.float64)
        self._arguments = np.zeros((3, size))  # s, v, v
        self._squares = np.zeros((3, size))
        self._values = np.zeros((3, size))
        self._other = np.zeros((2, size))
        self._coefficients = [_spread(row[:, None], (3, size)) for row in COEFFICIENTS]
        self._zeros = _spread(ZEROS, (2, size))

    def run(self) -> None:
        """Set `radius` and `waves` from the words."""
        unit, arguments, values = self._unit, self._arguments, self._values
        np.subtract(self._words, MAGIC, unit.reshape(-1))
        np.multiply(unit, TO_UNIT, unit)
        self._reduce_logarithm(unit[0], arguments[0])
        np.subtract(unit[1], HALF, arguments[1])  # v = u2 - 1/2: cos and sin of 2 pi u2 change sign
        np.copyto(arguments[2], arguments[1])
        self._polynomials()
        np.multiply(arguments[0], values[0], values[0])
        np.add(self.radius, values[0], self.radius)
        np.sqrt(self.radius, self.radius)
        self._multiply_zeros(arguments[1:], values[1:])

    def _reduce_logarithm(self, unit: NDArray[np.float64], s: NDArray[np.float64]) -> None:
        """Split u into m 2^e with m in [sqrt(1/2), sqrt(2)): s = (m - 1) / (m + 1), and -2 ln 2 e into `radius`."""
        bits, mantissa = self._bits, self._mantissa
        np.subtract(unit.view(np.int64), ROOT_HALF_BITS, bits)
        np.right_shift(bits, MANTISSA_BITS, self._exponent)
        np.bitwise_and(bits, MANTISSA, bits)
        np.add(bits, ROOT_HALF_BITS, bits)
        np.multiply(self._exponent, MINUS_TWO_LN_2, self.radius)
        np.subtract(mantissa, ONE, s)
        np.add(mantissa, ONE, mantissa)
        np.divide(s, mantissa, s)

    def _polynomials(self) -> None:
        """Horner's rule on all three at once."""
        squares, values = self._squares, self._values
        np.multiply(self._arguments, self._arguments, squares)
        np.multiply(squares, self._coefficients[0], values)
        for coefficient in self._coefficients[1:-1]:
            np.add(values, coefficient, values)
            np.multiply(values, squares, values)
        np.add(values, self._coefficients[-1], values)

    def _multiply_zeros(self, v: NDArray[np.float64], quotients: NDArray[np.float64]) -> None:
        """Multiply the zeros of cos and sin in again: 1/16 - v^2 and v (1/4 - v^2), as products of exact factors."""
        waves, other = self.waves, self._other
        np.subtract(self._zeros, v, waves)
        np.add(self._zeros, v, other)
        np.multiply(waves, other, waves)
        np.multiply(waves, quotients, waves)
        np.multiply(waves[1], v[1], waves[1])


def _spread(constant: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float64]:
    view = np.broadcast_to(constant, shape)
    return view.copy() if shape[1] <= SMALL else view


def latents(seed: SupportsIndex, start: SupportsIndex, count: SupportsIndex, dim: SupportsIndex) -> NDArray[np.float32]:
    """The latents of the images `start` to `start + count - 1` of a seed, float32 [count, dim], standard normal.

    Row i depends on `seed` and `start + i` alone, both 0 to 2^64 - 1; a smaller `dim` gives the first numbers of each
    row. Raises InputError for anything else, or where it does not fit in memory.
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
    """The latents of many (seed, start, count), made in one go, equal to those of `latents` bit for bit.

    float32 [all counts, dim], the rows of the first range first; written into `out` where that is given.
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
    blocks = numbers.shape[1]
    rows, columns = max(1, CHUNK // blocks), min(blocks, CHUNK)
    for row in range(0, len(numbers), rows):
        count = min(rows, len(numbers) - row)
        size = min(rows, 1 << (count - 1).bit_length())  # of few sizes, so that workspaces are found again
        for column in range(0, blocks, columns):
            tile = numbers[row : row + count, column : column + columns]
            _workspace(size, tile.shape[1]).fill_rows(tile, seeds[row : row + count], images[row : row + count], column)


def image_range(seed: SupportsIndex, start: SupportsIndex, count: SupportsIndex) -> tuple[int, int, int]:
    """Seed, start and count as Python integers; InputError where there are no such images."""
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
