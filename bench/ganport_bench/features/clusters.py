"""Groups that k-means finds in a representation without seeing a label, and how far they agree with the labels."""

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ganport_bench.errors import FeaturesError
from ganport_bench.features.coordinates import Coordinates
from ganport_bench.features.dataset import Dataset

CANDIDATES = (2, 3, 5, 8, 12)  # numbers of clusters that are tried where there are no classes to count
STARTS = 4
SILHOUETTE_IMAGES = 2000  # its cost grows with the square


@dataclass(frozen=True)
class Clusters:
    """One clustering.

    Attributes:
        assignment: Cluster of each image, int64 [n].
        count: Number of clusters: that of the classes, or the one of the best silhouette.
        normalized_mutual_information: With the classes, 0 to 1; None without labels.
        adjusted_rand_index: With the classes, 0 for chance, 1 for the same grouping; None without labels.
        silhouette: Of the chosen count (Rousseeuw 1987), -1 to 1; None with labels.
    """

    assignment: npt.NDArray[np.int64]
    count: int
    normalized_mutual_information: float | None = None
    adjusted_rand_index: float | None = None
    silhouette: float | None = None


def cluster(points: Coordinates, dataset: Dataset, seed: int, what: str) -> Clusters:
    """k-means on all images: as many clusters as classes, or without labels the count of the best silhouette.

    Raises:
        FeaturesError: Fewer different vectors than clusters; `what` names the representation.
    """
    if dataset.labels is None:
        return _by_silhouette(points, seed, what)
    from sklearn.metrics import (  # type: ignore[import-untyped]
        adjusted_rand_score,
        normalized_mutual_info_score,
    )

    count = len(dataset.class_names)
    assignment = _k_means(points, count, seed, what)
    return Clusters(
        assignment,
        count,
        normalized_mutual_information=float(normalized_mutual_info_score(dataset.labels, assignment)),
        adjusted_rand_index=float(adjusted_rand_score(dataset.labels, assignment)),
    )


def _by_silhouette(points: Coordinates, seed: int, what: str) -> Clusters:
    from sklearn.metrics import silhouette_score

    tried = []
    for count in CANDIDATES:
        if count < len(points):
            assignment = _k_means(points, count, seed, what)
            sample = min(SILHOUETTE_IMAGES, len(points))
            score = float(silhouette_score(points, assignment, sample_size=sample, random_state=seed))
            tried.append((score, Clusters(assignment, count, silhouette=score)))
    return max(tried, key=lambda pair: pair[0])[1]


def _k_means(points: Coordinates, count: int, seed: int, what: str) -> npt.NDArray[np.int64]:
    from sklearn.cluster import KMeans  # type: ignore[import-untyped]
    from sklearn.exceptions import ConvergenceWarning  # type: ignore[import-untyped]

    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)  # its only cause here: too few different points
        try:
            found = KMeans(count, n_init=STARTS, random_state=seed).fit_predict(points)
        except ConvergenceWarning:
            raise FeaturesError(
                f"{what}: fewer than {count} different vectors among {len(points)} images, so k-means cannot form "
                f"{count} clusters: give images that differ"
            ) from None
    return np.asarray(found, dtype=np.int64)
