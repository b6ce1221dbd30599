"""How well classes can be read off a representation: a linear probe and nearest neighbors, on held-out images."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ganport_bench.features.coordinates import Coordinates
from ganport_bench.features.dataset import Dataset

PENALTIES = (1e2, 1e1, 1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)  # the largest first: it wins ties
NEIGHBORS = (1, 3, 5, 10, 20)
FOLDS = 5
CONFIDENCE = 0.95


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
        """The accuracy of `correct` out of `total`, both counts of images."""
        from scipy.stats import binomtest  # type: ignore[import-untyped]

        interval = binomtest(correct, total).proportion_ci(CONFIDENCE, method="wilson")
        return cls(correct, total, correct / total, float(interval.low), float(interval.high))


@dataclass(frozen=True)
class Probe:
    """A classifier's accuracy and the one setting that was tuned: `penalty` or `neighbors`."""

    accuracy: Accuracy
    setting: str
    chosen: float


def linear_probe(points: Coordinates, dataset: Dataset) -> Probe:
    """A linear classifier under an L2 penalty, fitted on the training images.

    Radford et al. 2015 used an L2-SVM. This is its least-squares sibling, ridge regression onto -1 and 1 for each
    class: it has a closed form, and leave-one-out predictions for every penalty of the grid come from one
    factorization, so the penalty is chosen on the training images alone within seconds at any width of features.
    """
    from sklearn.linear_model import RidgeClassifierCV  # type: ignore[import-untyped]

    classifier = RidgeClassifierCV(alphas=PENALTIES, scoring="accuracy")
    classifier.fit(points[dataset.train], _labels(dataset)[dataset.train])
    return Probe(_accuracy(classifier, points, dataset), "penalty", float(classifier.alpha_))


def nearest_neighbors(points: Coordinates, dataset: Dataset, seed: int) -> Probe:
    """Majority vote of the k nearest training images by Euclidean distance; k by cross-validation among them."""
    from sklearn.model_selection import GridSearchCV, StratifiedKFold  # type: ignore[import-untyped]
    from sklearn.neighbors import KNeighborsClassifier  # type: ignore[import-untyped]

    labels = _labels(dataset)[dataset.train]
    folds = int(np.clip(np.bincount(labels).min(), 2, FOLDS))
    fitted_on = len(labels) - -(-len(labels) // folds)  # images in the smallest training part of a fold
    grid = {"n_neighbors": [k for k in NEIGHBORS if k <= fitted_on]}
    search = GridSearchCV(KNeighborsClassifier(), grid, cv=StratifiedKFold(folds, shuffle=True, random_state=seed))
    search.fit(points[dataset.train], labels)
    return Probe(_accuracy(search, points, dataset), "neighbors", search.best_params_["n_neighbors"])


def majority(dataset: Dataset) -> Accuracy:
    """The floor: the accuracy of always naming the largest class of the training images."""
    labels = _labels(dataset)
    largest = np.bincount(labels[dataset.train]).argmax()
    return Accuracy.of(int((labels[dataset.test] == largest).sum()), len(dataset.test))


def _accuracy(classifier: Any, points: Coordinates, dataset: Dataset) -> Accuracy:
    predicted = classifier.predict(points[dataset.test])
    return Accuracy.of(int((predicted == _labels(dataset)[dataset.test]).sum()), len(dataset.test))


def _labels(dataset: Dataset) -> npt.NDArray[np.int64]:
    if dataset.labels is None:
        raise ValueError("a probe needs labels")
    return dataset.labels
