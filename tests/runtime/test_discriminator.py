"""The discriminator: right scores and features for any count, one line for bad input."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ganport_runtime import BundleError, ClosedError, Discriminator, Generator, InputError
from numpy.typing import NDArray

from tests.support.bundles import Weights, make_bundle, make_weights


def some_images(count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(count).integers(0, 256, (count, 16, 16, 3), np.uint8)


@pytest.mark.parametrize("count", [0, 1, 7, 64, 65, 130])
def test_scores_and_features_are_those_of_the_network(
    discriminator: Discriminator, weights: Weights, count: int
) -> None:
    images = some_images(count)
    scores, vectors = discriminator.score(images), discriminator.embed(images)
    assert scores.dtype == vectors.dtype == np.float32
    assert scores.shape == (count,)
    assert vectors.shape == (count, 10)
    np.testing.assert_allclose(scores, weights.score(images), atol=1e-4)
    np.testing.assert_allclose(vectors, weights.embed(images), atol=1e-4)


def test_images_that_are_not_contiguous_work(discriminator: Discriminator) -> None:
    images = some_images(8)
    mirrored = images[::2, :, ::-1]
    assert np.array_equal(discriminator.embed(mirrored), discriminator.embed(mirrored.copy()))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((1, 16, 16, 3), np.float32), "images is float32 [1, 16, 16, 3], wanted uint8 [n, 16, 16, 3]"),
        (np.zeros((16, 16, 3), np.uint8), "images is uint8 [16, 16, 3], wanted uint8 [n, 16, 16, 3]"),
        (np.zeros((1, 3, 16, 16), np.uint8), "images is uint8 [1, 3, 16, 16]"),
        (np.zeros((1, 16, 16, 3), np.int8), "images is int8"),
        ("cat.png", "images is str, wanted a numpy array uint8"),
    ],
)
def test_bad_images_are_named(discriminator: Discriminator, images: Any, message: str) -> None:
    for method in (discriminator.score, discriminator.embed):
        with pytest.raises(InputError) as caught:
            method(images)
        assert message in str(caught.value)


def test_a_closed_discriminator_says_so(bundle: Path) -> None:
    with Discriminator.open(bundle) as discriminator:
        pass
    with pytest.raises(ClosedError, match=r"this discriminator of .* is closed"):
        discriminator.score(some_images(1))


def test_a_bundle_without_one_says_so(tmp_path: Path) -> None:
    path = make_bundle(tmp_path / "half.ganport", make_weights(), discriminator=False)
    Generator.open(path).close()
    with pytest.raises(BundleError, match=r"half\.ganport holds no discriminator; export it again"):
        Discriminator.open(path)
