"""Philox 4x32-10 against the vectors that its authors published with Random123 (kat_vectors)."""

import numpy as np
import pytest
from ganport_runtime.latents import Philox

ONES = 0xFFFFFFFF


def encrypt(counter: tuple[int, int, int, int], key: tuple[int, int], blocks: int = 3) -> list[list[int]]:
    philox = Philox(blocks)
    philox.set_key(key)
    for word, value in zip(philox.counter, counter, strict=True):
        word[...] = value
    even = np.zeros(2 * blocks, np.uint32)
    odd = (np.zeros(blocks, np.uint32), np.zeros(blocks, np.uint32))
    philox.run(even, odd)
    lanes = (even[:blocks], odd[0], even[blocks:], odd[1])
    return [[int(lane[block]) for lane in lanes] for block in range(blocks)]


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ((0, 0, 0, 0), (0, 0), [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ((ONES, ONES, ONES, ONES), (ONES, ONES), [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_gives_the_published_words(counter: tuple[int, int, int, int], key: tuple[int, int], words: list[int]) -> None:
    assert encrypt(counter, key) == [words] * 3


def test_one_object_may_run_again_and_again() -> None:
    philox = Philox(1)
    even, odd = np.zeros(2, np.uint32), (np.zeros(1, np.uint32), np.zeros(1, np.uint32))
    results = []
    for key in ((0, 0), (5, 6), (0, 0)):
        philox.set_key(key)
        for word in philox.counter:
            word[...] = 0
        philox.run(even, odd)
        results.append([int(even[0]), int(odd[0][0]), int(even[1]), int(odd[1][0])])
    assert results[0] == results[2] == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    assert results[1] != results[0]
