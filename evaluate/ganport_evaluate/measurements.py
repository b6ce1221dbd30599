"""What is measured on every representation: classifiers on held-out images, clusters, and 2-D pictures."""

import importlib.util
import warnings
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ganport_evaluate.dataset import Dataset, FeaturesError
from ganport_evaluate.representations import Coordinates

Projection = npt.NDArray[np.float32]

PENALTIES = (1e2, 1e1, 1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)  # the largest first: it wins ties
NEIGHBORS = (1, 3, 5, 10, 20)
FOLDS = 5
CONFIDENCE = 0.95
CANDIDATES = (2, 3, 5, 8, 12)  # numbers of clusters that are tried where there are no classes to count
STARTS = 4
SILHOUETTE_IMAGES = 2000  # its cost grows with the square
TITLES = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}
COMPONENTS = 50  # axes that t-SNE and UMAP see; van der Maaten and Hinton 2008 do the same with 30
PERPLEXITY = 30.0


@dataclass(frozen=True)
class Accuracy:
    """Share of held-out images whose class was told rightly, with its 95 % interval (Wilson 1927)."""

    correct: int
    total: int
    value: float
    low: float
    high: float

    @classmethod
    def of(cls, correct: int, total: int) -> Self:
        """`correct` and `total` count images."""
        from scipy.stats import binomtest  # type: ignore[import-untyped]

        interval = binomtest(correct, total).proportion_ci(CONFIDENCE, method="wilson")
        return cls(correct, total, correct / total, float(interval.low), float(interval.high))


@dataclass(frozen=True)
class ClassScore:
    """A classifier's accuracy and the one setting that was tuned: `penalty` or `neighbors`."""

    accuracy: Accuracy
    setting: str
    chosen: float


def linear_probe(points: Coordinates, dataset: Dataset) -> ClassScore:
    """A linear classifier under an L2 penalty, fitted on the training images.

    Radford et al. 2015 used an L2-SVM. This is its least-squares sibling, ridge regression onto -1 and 1 for each
    class: it has a closed form, and leave-one-out predictions for every penalty of the grid come from one
    factorization, so the penalty is chosen on the training images alone within seconds at any width of features.
    """
    from sklearn.linear_model import RidgeClassifierCV  # type: ignore[import-untyped]

    classifier = RidgeClassifierCV(alphas=PENALTIES, scoring="accuracy")
    classifier.fit(points[dataset.train], _labels(dataset)[dataset.train])
    return ClassScore(_accuracy(classifier, points, dataset), "penalty", float(classifier.alpha_))


def nearest_neighbors(points: Coordinates, dataset: Dataset, seed: int) -> ClassScore:
    """Majority vote of the k nearest training images by Euclidean distance; k by cross-validation among them."""
    from sklearn.model_selection import GridSearchCV, StratifiedKFold  # type: ignore[import-untyped]
    from sklearn.neighbors import KNeighborsClassifier  # type: ignore[import-untyped]

    labels = _labels(dataset)[dataset.train]
    folds = int(np.clip(np.bincount(labels).min(), 2, FOLDS))
    fitted_on = len(labels) - -(-len(labels) // folds)  # images in the smallest training part of a fold
    grid = {"n_neighbors": [k for k in NEIGHBORS if k <= fitted_on]}
    search = GridSearchCV(KNeighborsClassifier(), grid, cv=StratifiedKFold(folds, shuffle=True, random_state=seed))
    search.fit(points[dataset.train], labels)
    return ClassScore(_accuracy(search, points, dataset), "neighbors", search.best_params_["n_neighbors"])


def majority(dataset: Dataset) -> Accuracy:
    """The floor: the accuracy of always naming the largest class of the training images."""
    labels = _labels(dataset)
    largest = np.bincount(labels[dataset.train]).argmax()
    return Accuracy.of(int((labels[dataset.test] == largest).sum()), len(dataset.test))


def _accuracy(classifier: Any, points: Coordinates, dataset: Dataset) -> Accuracy:
    predicted = classifier.predict(points[dataset.test])
    return Accuracy.of(int((predicted == _labels(dataset)[dataset.test]).sum()), len(dataset.test))


def _labels(dataset: Dataset) -> npt.NDArray[np.int64]:
    assert dataset.labels is not None, "a probe needs labels"
    return dataset.labels


@dataclass(frozen=True)
class Clusters:
    """One clustering."""

    assignment: npt.NDArray[np.int64]  # [n], the cluster of each image
    count: int  # of clusters
    normalized_mutual_information: float | None = None  # with the classes, 0 to 1
    adjusted_rand_index: float | None = None  # with the classes, 0 for chance, 1 for the same grouping
    silhouette: float | None = None  # of the chosen count (Rousseeuw 1987), -1 to 1; None with labels


def cluster(points: Coordinates, dataset: Dataset, seed: int, what: str) -> Clusters:
    """k-means on all images: as many clusters as classes, or without labels the count of the best silhouette."""
    if dataset.labels is None:
        return _by_silhouette(points, seed, what)
    import sklearn.metrics as metrics  # type: ignore[import-untyped]

    count = len(dataset.class_names)
    assignment = _k_means(points, count, seed, what)
    information = float(metrics.normalized_mutual_info_score(dataset.labels, assignment))
    return Clusters(assignment, count, information, float(metrics.adjusted_rand_score(dataset.labels, assignment)))


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


def has_umap() -> bool:
    """umap-learn is in no extra of ganport, for it brings a compiler of its own."""
    return importlib.util.find_spec("umap") is not None


def installed_titles() -> list[str]:
    """What `project` draws here."""
    return [title for method, title in TITLES.items() if method != "umap" or has_umap()]


def project(points: Coordinates, seed: int) -> dict[str, Projection]:
    """float32 [n, 2] for each method that is installed; t-SNE takes by far the longest, minutes for ten thousand."""
    from sklearn.decomposition import PCA  # type: ignore[import-untyped]

    axes = PCA(min(COMPONENTS, points.shape[1], len(points) - 1), random_state=seed).fit_transform(points)
    pictures = {"pca": np.ascontiguousarray(axes[:, :2]), "tsne": _tsne(axes, seed)}
    if has_umap():
        pictures["umap"] = _umap(axes, seed)
    return pictures


def _tsne(axes: npt.NDArray[np.float32], seed: int) -> Projection:
    from sklearn.manifold import TSNE  # type: ignore[import-untyped]

    perplexity = min(PERPLEXITY, (len(axes) - 1) / 3)
    # starting from PCA keeps the large-scale order (Kobak and Berens 2019)
    return np.asarray(TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(axes), np.float32)


def _umap(axes: npt.NDArray[np.float32], seed: int) -> Projection:
    import umap  # type: ignore[import-not-found]

    neighbors = min(15, len(axes) - 1)
    # one job: a fixed seed allows no more, and UMAP warns of it otherwise
    reducer = umap.UMAP(n_components=2, n_neighbors=neighbors, random_state=seed, n_jobs=1)
    return np.asarray(reducer.fit_transform(axes), np.float32)
