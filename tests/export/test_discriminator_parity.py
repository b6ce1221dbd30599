"""Relative errors of logits and features, and the gate on them."""

import math

import numpy as np
import pytest
from ganport_export import ParityError
from ganport_export.discriminator import DISCRIMINATOR_GATES, DiscriminatorParity, measure_discriminator
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Outputs = tuple[NDArray[np.floating], NDArray[np.floating]]
GATE = DISCRIMINATOR_GATES["fp32"]
IMAGES = np.random.default_rng(0).integers(0, 256, (64, 2, 2, 1), dtype=np.uint8)


def reference(pixels: Pixels) -> Outputs:
    flat = pixels.reshape(len(pixels), -1).astype(np.float64)
    return flat.sum(1), flat / 1000  # largest logit in the hundreds, features below 1


def test_errors_are_relative_above_one_and_absolute_below() -> None:
    def run(pixels: Pixels) -> Outputs:
        logit, features = reference(pixels)
        return logit + 0.5, features + 0.01

    parity = measure_discriminator(run, reference, (IMAGES, 255 - IMAGES))
    largest = [images.reshape(64, -1).sum(1).max() for images in (IMAGES, 255 - IMAGES)]
    assert parity.logit_error == pytest.approx(0.5 / min(largest))
    assert parity.features_error == pytest.approx(0.01)
    assert (parity.images, parity.batches) == (2 * 74, (1, 2, 7, 64))


def test_an_error_in_one_batch_size_counts() -> None:
    def run(pixels: Pixels) -> Outputs:
        logit, features = reference(pixels)
        return logit, features + (len(pixels) == 2)

    assert measure_discriminator(run, reference, (IMAGES,)).features_error == pytest.approx(1.0)


def test_outputs_of_another_shape_are_refused() -> None:
    def run(pixels: Pixels) -> Outputs:
        logit, features = reference(pixels)
        return logit[:, None], features

    with pytest.raises(ParityError, match=r"shape \(1, 1\), the network's has \(1,\)"):
        measure_discriminator(run, reference, (IMAGES,))


@pytest.mark.parametrize(
    ("logit", "features", "said"),
    [
        (2e-3, 0.0, "logit differ by 0.002"),
        (0.0, 0.5, "features differ by 0.5"),
        (math.nan, 0.0, "logit differ by nan"),
    ],
)
def test_gate_names_the_output(logit: float, features: float, said: str) -> None:
    with pytest.raises(ParityError, match=f"d is no faithful export: {said}.*the limit is 0.001"):
        GATE.check("d", DiscriminatorParity(logit, features, 1, (1,)))


def test_gate_takes_what_is_on_its_limit() -> None:
    GATE.check("d", DiscriminatorParity(1e-3, 1e-3, 1, (1,)))
