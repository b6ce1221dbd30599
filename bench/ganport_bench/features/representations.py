"""The discriminator's features and the controls beside them, each as scaled coordinates of the same images."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from ganport_runtime import Bundle, Discriminator

from ganport_bench.errors import FeaturesError
from ganport_bench.features import untrained
from ganport_bench.features.coordinates import Coordinates, coordinates, unit_length
from ganport_bench.features.dataset import Dataset

PIXEL_COMPONENTS = 100
CHUNK = 1024  # images between two words on progress


@dataclass(frozen=True)
class Representation:
    """One way to describe an image by numbers.

    Attributes:
        name: Key in documents.
        title: For people.
        is_control: False for what is being evaluated.
        dimensions: Numbers an image.
        points: float32 [n, at most n]: standardized and rotated, see `coordinates`.
    """

    name: str
    title: str
    is_control: bool
    dimensions: int
    points: Coordinates


def representations(
    bundle: Bundle, dataset: Dataset, seed: int, on_step: Callable[[str], None]
) -> Iterator[Representation]:
    """Discriminator, random discriminator, raw pixels, PCA of pixels; one at a time, for wide features are large.

    Raises:
        FeaturesError: Features that are not finite, or the same for all images.
    """
    yield _of("discriminator", "discriminator", _discriminator(bundle, dataset, on_step), dataset, is_control=False)
    on_step("random discriminator: features")
    yield _of("random_discriminator", "random discriminator", _random(bundle, dataset, seed), dataset)
    on_step("pixels")
    pixels = _of("pixels", "raw pixels", _pixels(dataset), dataset)
    yield pixels
    yield _principal_components(pixels, dataset, seed)


def _of(
    name: str, title: str, vectors: npt.NDArray[np.float32], dataset: Dataset, *, is_control: bool = True
) -> Representation:
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if bad.size:
        raise FeaturesError(
            f"{title}: NaN or infinite features for {bad.size} of {len(dataset)} images "
            f"(first {dataset.names[bad[0]]}): the weights have diverged; export an earlier checkpoint"
        )
    dimensions = vectors.shape[1]
    return Representation(name, title, is_control, dimensions, coordinates(vectors, dataset.train, title))


def _discriminator(bundle: Bundle, dataset: Dataset, on_step: Callable[[str], None]) -> npt.NDArray[np.float32]:
    parts = []
    with Discriminator.open(bundle.path) as discriminator:
        for start in range(0, len(dataset), CHUNK):
            on_step(f"discriminator: features of images {start} to {min(start + CHUNK, len(dataset))}")
            parts.append(discriminator.embed(dataset.images[start : start + CHUNK]))
    return np.concatenate(parts)


def _random(bundle: Bundle, dataset: Dataset, seed: int) -> npt.NDArray[np.float32]:
    variants = bundle.variants("discriminator")
    exact = [variant for variant in variants if variant.precision == "fp32"] or list(variants)
    return untrained.embed(untrained.with_random_weights(bundle.read(exact[0]), seed), dataset.images)


def _pixels(dataset: Dataset) -> npt.NDArray[np.float32]:
    return dataset.images.reshape(len(dataset), -1).astype(np.float32) / np.float32(255)


def _principal_components(pixels: Representation, dataset: Dataset, seed: int) -> Representation:
    """The first axes of the pixels as they vary over the training images, not scaled again one by one."""
    from sklearn.decomposition import PCA  # type: ignore[import-untyped]

    train = pixels.points[dataset.train]
    count = min(PIXEL_COMPONENTS, len(train) - 1, train.shape[1])
    points = PCA(count, random_state=seed).fit(train).transform(pixels.points)
    title = "PCA of pixels"
    return Representation("pixels_pca", title, True, count, unit_length(points, dataset.train, title))
