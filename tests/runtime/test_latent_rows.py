"""What is kept ahead is never anything but the latents."""

import numpy as np
from ganport_runtime import latents
from ganport_runtime.latents import AHEAD, LatentRows
from hypothesis import given, settings
from hypothesis import strategies as st

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
