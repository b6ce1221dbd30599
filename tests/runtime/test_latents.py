"""Latents: the same everywhere, whatever the batch; standard normal; right to float32's last bit but one."""

import math
import os
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import mpmath  # type: ignore[import-untyped]
import numpy as np
import pytest
from ganport_runtime import InputError, latents
from ganport_runtime.latents import AHEAD, BoxMuller, LatentRows, Philox, latents_of
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats  # type: ignore[import-untyped]

TOP = 2**64
MASK = 0xFFFFFFFF
GOLDEN = "a9401491a0df8cc9b42dfc0c30a3db01a5b9e2da0dbdbb359bdf2275c07bd258"
GOLDEN_CODE = """
import hashlib
from ganport_runtime import latents
parts = [latents(7, 3, 300, 13), latents(2**64 - 1, 2**64 - 70, 70, 100), latents(0, 2**32 - 5, 10, 4100)]
print(hashlib.sha256(b"".join(part.astype("<f4").tobytes() for part in parts)).hexdigest())
"""


def reference(seed: int, image: int, dim: int) -> list[float]:
    """One image's latents, number by number, with Python's integers and the C library's functions."""
    result: list[float] = []
    for block in range(-(-dim // 4)):
        words = philox((block, 0, image & MASK, image >> 32), (seed & MASK, seed >> 32))
        for first, second in ((words[0], words[1]), (words[2], words[3])):
            radius = math.sqrt(-2 * math.log((first + 0.5) / 2**32))
            angle = 2 * math.pi * (second + 0.5) / 2**32
            result += [radius * math.cos(angle), radius * math.sin(angle)]
    return result[:dim]


def philox(counter: tuple[int, ...], key: tuple[int, int]) -> tuple[int, ...]:
    for turn in range(10):
        low, high = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        k0, k1 = (key[0] + turn * 0x9E3779B9) & MASK, (key[1] + turn * 0xBB67AE85) & MASK
        counter = ((high >> 32) ^ counter[1] ^ k0, high & MASK, (low >> 32) ^ counter[3] ^ k1, low & MASK)
    return counter


@given(seed=st.integers(0, TOP - 1), image=st.integers(0, TOP - 1), dim=st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_agrees_with_the_formula_number_by_number(seed: int, image: int, dim: int) -> None:
    found = latents(seed, image, 1, dim)
    assert found.dtype == np.float32
    assert found.shape == (1, dim)
    np.testing.assert_allclose(found[0], reference(seed, image, dim), rtol=1e-7, atol=1e-12)


@given(
    seed=st.integers(0, TOP - 1),
    start=st.integers(0, TOP - 400),
    count=st.integers(1, 300),
    dim=st.sampled_from([1, 2, 3, 4, 5, 7, 100, 128]),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_an_image_does_not_depend_on_its_batch(seed: int, start: int, count: int, dim: int, data: Any) -> None:
    whole = latents(seed, start, count, dim)
    first = data.draw(st.integers(0, count - 1))
    last = data.draw(st.integers(first, count))
    assert np.array_equal(whole[first:last], latents(seed, start + first, last - first, dim))


@pytest.mark.slow
@given(
    ranges=st.lists(st.tuples(st.integers(0, TOP - 1), st.integers(0, TOP - 50), st.integers(0, 50)), max_size=12),
    dim=st.sampled_from([1, 3, 4, 7, 12, 100, 4 * 2048 + 1]),
)
@settings(max_examples=40, deadline=None)
def test_many_seeds_at_once_give_the_rows_of_each(ranges: list[tuple[int, int, int]], dim: int) -> None:
    wanted = np.concatenate([np.empty((0, dim), np.float32), *(latents(*one, dim) for one in ranges)])
    assert np.array_equal(latents_of(ranges, dim), wanted)
    out = np.empty_like(wanted)
    assert latents_of(ranges, dim, out) is out
    assert np.array_equal(out, wanted)


@pytest.mark.parametrize("dim", [4 * 2048, 4 * 2048 + 1, 20_000])
def test_rows_longer_than_a_chunk_are_whole(dim: int) -> None:
    rows = latents(1, 2, 3, dim)
    np.testing.assert_allclose(rows[1], reference(1, 3, dim), rtol=1e-7, atol=1e-12)
    assert np.array_equal(rows[:, :50], latents(1, 2, 3, 50))


def test_images_seeds_and_numbers_all_differ() -> None:
    rows = np.concatenate([latents(seed, 0, 500, 16) for seed in (0, 1, 2**32, 2**63)])
    assert len(np.unique(rows)) > 0.999 * rows.size


def test_the_same_bits_as_ever() -> None:
    """A change of this digest changes every user's images: it must never happen."""
    assert digest({}) == GOLDEN


@pytest.mark.parametrize("prefix", ["", "AVX512", "AVX"])
def test_the_same_bits_without_the_processors_extensions(prefix: str) -> None:
    config: Any = np.show_config(mode="dicts")
    found = [name for name in config["SIMD Extensions"].get("found", []) if name.startswith(prefix)]
    if not found:
        pytest.skip(f"numpy uses no extension of this processor that begins with {prefix!r}")
    assert digest({"NPY_DISABLE_CPU_FEATURES": " ".join(found)}) == GOLDEN


def digest(environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", GOLDEN_CODE], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_the_transform_is_right_to_eleven_digits_at_every_word() -> None:
    edges = [0, 1, 2, 2**30 - 1, 2**30, 2**31 - 1, 2**31, 3 * 2**30 - 1, 3 * 2**30, 2**32 - 2, 2**32 - 1]
    drawn = np.random.default_rng(0).integers(0, 2**32, 400).tolist()
    words = edges + drawn
    transform = BoxMuller(len(words))
    transform.first[...] = words
    transform.second[...] = words
    transform.run()
    with mpmath.workdps(40):
        units = [(mpmath.mpf(word) + 0.5) / 2**32 for word in words]
        assert largest_error(transform.radius, [mpmath.sqrt(-2 * mpmath.log(u)) for u in units]) < 1e-11
        assert largest_error(transform.waves[0], [mpmath.cos(2 * mpmath.pi * u) for u in units]) < 1e-11
        assert largest_error(transform.waves[1], [mpmath.sin(2 * mpmath.pi * u) for u in units]) < 1e-11


def largest_error(found: NDArray[np.float64], exact: list[Any]) -> float:
    return max(float(abs(value / true - 1)) for value, true in zip(found.tolist(), exact, strict=True))


def test_they_are_standard_normal() -> None:
    rows = latents(11, 0, 4000, 100)
    assert stats.kstest(rows.ravel(), "norm").pvalue > 1e-3
    assert stats.kstest(rows[:, 0], "norm").pvalue > 1e-3
    assert stats.kstest(rows[5], "norm").pvalue > 1e-3
    assert abs(stats.kurtosis(rows.ravel())) < 0.03
    correlations = np.corrcoef(rows[:, :20], rowvar=False) - np.eye(20)
    assert np.abs(correlations).max() < 0.08


def test_threads_do_not_disturb_each_other() -> None:
    wanted = {(seed, count): latents(seed, 5, count, 100) for seed in range(4) for count in (1, 3, 40)}
    jobs = list(wanted) * 20
    with ThreadPoolExecutor(4) as pool:
        for job, rows in zip(jobs, pool.map(lambda job: latents(job[0], 5, job[1], 100), jobs), strict=True):
            assert np.array_equal(rows, wanted[job])


def test_memory_beside_the_result_does_not_grow() -> None:
    latents(0, 0, 5000, 100)  # this thread's buffers
    tracemalloc.start()
    try:
        rows = latents(0, 0, 40_000, 100)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < rows.nbytes + 2**22


def test_numpy_integers_are_whole_numbers() -> None:
    assert np.array_equal(latents(np.uint64(3), np.int8(2), np.int64(2), np.int32(5)), latents(3, 2, 2, 5))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 0, 1, 1), "seed is -1, wanted 0 to 2^64 - 1"),
        ((TOP, 0, 1, 1), f"seed is {TOP}, wanted 0 to 2^64 - 1"),
        ((0, -1, 1, 1), "start is -1"),
        ((0, 0, -1, 1), "count is -1, wanted 0 to 2^64"),
        ((0, 0, 1, 0), "dim is 0, wanted 1 to 2^31 - 1"),
        ((0.0, 0, 1, 1), "seed is 0.0, wanted a whole number"),
        ((0, 0, True, 1), "count is True, wanted a whole number"),
        ((0, "0", 1, 1), "start is '0', wanted a whole number"),
        ((0, 0, np.zeros((50, 2)), 1), "count is array([[0., 0.], [0., 0.],"),
        ((0, 0, 10**5000, 1), "count is an integer of 16610 bits, wanted 0 to 2^64"),
        ((0, TOP - 1, 2, 1), "go past the last image of a seed"),
        ((0, 0, 2**50, 100), "float32 [1125899906842624, 100] does not fit in memory"),
    ],
)
def test_bad_arguments_are_named(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(InputError) as caught:
        latents(*arguments)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, ValueError)


calls = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 40), st.integers(0, 20)), min_size=1, max_size=25)


@given(calls)
@settings(max_examples=60, deadline=None)
def test_any_sequence_of_calls_gives_the_latents(sequence: list[tuple[int, int, int]]) -> None:
    rows = LatentRows(8)
    for seed, start, count in sequence:
        assert np.array_equal(rows.take(seed, start, count), latents(seed, start, count, 8))


def test_one_image_after_another_up_to_the_last_of_a_seed() -> None:
    rows = LatentRows(8)
    first = 2**64 - AHEAD - 3
    for image in range(first, 2**64):
        assert np.array_equal(rows.take(1, image, 1), latents(1, image, 1, 8))


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
