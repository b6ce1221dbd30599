"""The discriminator's features and the controls beside them, each as scaled coordinates of the same images."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from ganport_runtime import Bundle, Discriminator

from ganport_evaluate import random_weights
from ganport_evaluate.dataset import Dataset, FeaturesError

Coordinates = npt.NDArray[np.float32]

LIMIT = 5.0  # deviations from the mean; about one value in a thousand lies further out
PIXEL_COMPONENTS = 100
CHUNK = 1024  # images between two words on progress


@dataclass(frozen=True)
class Representation:
    """One way to describe an image by numbers."""

    name: str  # key in documents
    title: str  # for people
    is_control: bool  # False for what is being evaluated
    dimensions: int  # numbers an image
    points: Coordinates  # [n, at most n]: standardized and rotated, see `coordinates`


def representations(
    bundle: Bundle, dataset: Dataset, seed: int, on_step: Callable[[str], None]
) -> Iterator[Representation]:
    """Discriminator, random discriminator, raw pixels, PCA of pixels; one at a time, for wide features are large."""
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
    return random_weights.embed(random_weights.with_random_weights(bundle.read(exact[0]), seed), dataset.images)


def _pixels(dataset: Dataset) -> npt.NDArray[np.float32]:
    return dataset.images.reshape(len(dataset), -1).astype(np.float32) / np.float32(255)


def _principal_components(pixels: Representation, dataset: Dataset, seed: int) -> Representation:
    """The first axes of the pixels, not scaled again one by one."""
    from sklearn.decomposition import PCA  # type: ignore[import-untyped]

    train = pixels.points[dataset.train]
    count = min(PIXEL_COMPONENTS, len(train) - 1, train.shape[1])
    points = PCA(count, random_state=seed).fit(train).transform(pixels.points)
    title = "PCA of pixels"
    return Representation("pixels_pca", title, True, count, unit_length(points, dataset.train, title))


def coordinates(vectors: npt.NDArray[np.float32], train: npt.NDArray[np.int64], what: str) -> Coordinates:
    """Finite feature vectors, float32 [n, F], standardized and turned into [n, min(n, F)]; `vectors` is overwritten.

    Every feature is brought to mean 0 and deviation 1 over the training images, so that neither the unit of a
    representation nor the size of a layer's activations decides anything. Values beyond 5 deviations are set to 5:
    a feature that hardly ever changes (the corner pixel of drawings on white) has next to no deviation, and the one
    image where it does change would lie a thousand deviations from all others and be a cluster of its own.

    What is measured afterwards (linear models under an L2 penalty, distances, k-means, principal components) does not
    change under a rotation, and n vectors span n dimensions at most, so wide vectors are rotated into that span. All
    are divided by one number, so that the same penalty means the same for every width. Training images that all have
    the same vector raise a `FeaturesError` about `what`.
    """
    from sklearn.preprocessing import StandardScaler  # type: ignore[import-untyped]

    scaler = StandardScaler(copy=False).fit(vectors[train])
    standard = scaler.transform(vectors)
    np.clip(standard, -LIMIT, LIMIT, out=standard)
    return unit_length(rotate(standard), train, what)


def rotate(vectors: npt.NDArray[np.float32]) -> Coordinates:
    """Coordinates of n vectors in the space that they span: same inner products, min(n, F) numbers each.

    With vectors^T = Q R and Q orthonormal, the rows of R^T have the inner products of the vectors.
    """
    from scipy.linalg import qr  # type: ignore[import-untyped]

    count, features = vectors.shape
    if features <= count:
        return vectors
    (triangle,) = qr(vectors.T, mode="r", overwrite_a=True, check_finite=False)
    return np.ascontiguousarray(triangle[:count].T)


def unit_length(vectors: npt.NDArray[np.float32], train: npt.NDArray[np.int64], what: str) -> Coordinates:
    """Vectors divided by one number, so that the training vectors' mean squared length is 1."""
    squared = float(np.square(vectors[train], dtype=np.float64).sum(axis=1).mean())
    if squared == 0:
        raise FeaturesError(f"{what}: the same for every training image, so there is nothing to tell them apart by")
    return vectors / np.float32(squared**0.5)
