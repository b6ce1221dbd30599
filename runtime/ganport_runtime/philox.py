"""Philox 4x32-10, the counter-based random number generator of Salmon et al. 2011, over many counters at once.

J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw: Parallel Random Numbers: As Easy as 1, 2, 3. SC11, 2011.

One round takes the words (c0, c1, c2, c3) and the round's keys (k0, k1) to
(hi(M1 c2) ^ c1 ^ k0, lo(M1 c2), hi(M0 c0) ^ c3 ^ k1, lo(M0 c0)). Both lanes, c0 with c1 and c2 with c3, live in one
array, and the halves of the 64-bit products are views of it: at a hundred latents the time goes into the number of
numpy calls, and this takes four a round on plain one-dimensional operands.
"""

import sys

import numpy as np
from numpy.typing import NDArray

__all__ = ["HIGH", "LOW", "Philox"]

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)  # what the keys grow by each round
MASK = 0xFFFFFFFF
STEPS = np.array([[[r * step & MASK] for step in WEYL] for r in range(ROUNDS)], np.uint32)

# Where the two halves of a 64-bit integer lie in a view of it as 32-bit ones.
LOW, HIGH = (0, 1) if sys.byteorder == "little" else (1, 0)


class Philox:
    """Encrypts `blocks` counters at a time, in buffers of its own: for one thread only.

    Set `counter` and the key, then `run`.

    Attributes:
        counter: uint32 views [blocks] of the words c0, c1, c2, c3; `run` overwrites them.
    """

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
        """Encrypt the counters.

        Args:
            even: uint32 [2 * blocks], receives the words 0 of all blocks, then the words 2.
            odd: two uint32 [blocks], receive the words 1 and the words 3.
        """
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
