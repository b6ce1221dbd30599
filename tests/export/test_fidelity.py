"""Figures against the reference, by values computed by hand; the strip, pixel by pixel; seeds that do not meet."""

import io
import math

import numpy as np
import pytest
from ganport_export import inputs
from ganport_export.fidelity import FidelityMeter, comparison_image
from ganport_export.inputs import FIDELITY_SEED, PARITY_SEEDS, Feed, GeneratorInputs
from ganport_runtime import latents
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Latents = NDArray[np.float32]
DIM = 3
INPUTS = GeneratorInputs(DIM)


def paint(feed: Feed) -> Pixels:
    """Images of 2x2 gray pixels that depend on the latent."""
    return np.repeat((100 + 20 * feed["z"][:, :1]).clip(10, 240).astype(np.uint8), 4, axis=1).reshape(-1, 2, 2, 1)


def test_golden_figures() -> None:
    """Every fourth image is off: one pixel of four, by 8; mean square 16 in those."""
    made: list[Pixels] = []

    def run(feed: Feed) -> Pixels:
        images = paint(feed)
        for image in images:
            if len(made) % 4 == 0:
                image[0, 0] += 8
            made.append(image)
        return images

    fidelity, _ = FidelityMeter(paint, INPUTS, images=100).measure(run)
    worst = 10 * math.log10(255**2 / 16)
    assert fidelity.psnr_db_worst == pytest.approx(worst)
    assert fidelity.psnr_db_mean == pytest.approx((25 * worst + 75 * 100) / 100)
    assert fidelity.share_off == pytest.approx(25 / 400)
    assert (fidelity.largest_difference, fidelity.images) == (8, 100)


def test_thousand_and_twenty_four_fresh_latents_in_bounded_batches() -> None:
    seen: list[Latents] = []

    def run(feed: Feed) -> Pixels:
        seen.append(feed["z"])
        return paint(feed)

    meter = FidelityMeter(paint, INPUTS)
    assert meter.measure(run)[0].images == 1024
    assert max(len(z) for z in seen) <= 64
    assert np.array_equal(np.concatenate(seen), latents(FIDELITY_SEED, 0, 1024, DIM))
    assert len(meter.shown) == 8


def test_no_seed_serves_two_ends() -> None:
    used = [*PARITY_SEEDS, *(seed for name, seed in vars(inputs).items() if name.endswith("_SEED"))]
    assert len(used) > 8
    assert len(set(used)) == len(used)


@pytest.mark.parametrize("channels", [1, 3])
def test_strip_shows_both_and_their_difference_eight_times(channels: int) -> None:
    random = np.random.default_rng(0)
    first = random.integers(0, 256, (8, 5, 4, channels), dtype=np.uint8)
    second = first.copy()
    second[0, 0, 0] = first[0, 0, 0] ^ 1
    second[1, 2, 3] = first[1, 2, 3] ^ 64
    with Image.open(io.BytesIO(comparison_image(first, second))) as opened:
        sheet = np.asarray(opened).reshape(3 * 5 + 2 * 2, 8 * 4 + 7 * 2, channels)
    for index in range(8):
        for row, images in enumerate((first, second)):
            cell = sheet[row * 7 : row * 7 + 5, index * 6 : index * 6 + 4]
            assert np.array_equal(cell, images[index])
    difference = sheet[14:].astype(int)
    assert (difference[0, 0] == 8).all()
    assert (difference[2, 6 + 3] == 255).all()
    assert (sheet[5:7] == 255).all()
    assert np.count_nonzero(np.delete(difference, [4, 5, 10, 11, 16, 17, 22, 23, 28, 29, 34, 35, 40, 41], 1)) == (
        2 * channels
    )
