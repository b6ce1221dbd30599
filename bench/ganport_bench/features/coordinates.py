"""One scaling for every representation, and a lossless rotation that makes wide features quick to work with."""

import numpy as np
import numpy.typing as npt

from ganport_bench.errors import FeaturesError

Coordinates = npt.NDArray[np.float32]

LIMIT = 5.0  # deviations from the mean; about one value in a thousand lies further out


def coordinates(vectors: npt.NDArray[np.float32], train: npt.NDArray[np.int64], what: str) -> Coordinates:
    """Feature vectors, standardized and turned into as few dimensions as they really have.

    Every feature is brought to mean 0 and deviation 1 over the training images, so that neither the unit of a
    representation nor the size of a layer's activations decides anything. Values beyond 5 deviations are set to 5:
    a feature that hardly ever changes (the corner pixel of drawings on white) has next to no deviation, and the one
    image where it does change would lie a thousand deviations from all others and be a cluster of its own.

    What is measured afterwards (linear models under an L2 penalty, distances, k-means, principal components) does not
    change under a rotation, and n vectors span n dimensions at most: where there are more features than images, the
    vectors are rotated into that span.

    Args:
        vectors: float32 [n, F], finite; overwritten.
        train: Indices of the training images.
        what: Name of the representation, for errors.

    Returns:
        float32 [n, min(n, F)] with the inner products of the standardized vectors, divided by one number so that
        training vectors have a mean squared length of 1: the same penalty then means the same for every width.

    Raises:
        FeaturesError: All training images have the same vector.
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
