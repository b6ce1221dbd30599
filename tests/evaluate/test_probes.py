import math

import numpy as np
import pytest
from ganport_evaluate.dataset import Dataset, split
from ganport_evaluate.measurements import PENALTIES, Accuracy, linear_probe, majority, nearest_neighbors
from ganport_evaluate.representations import coordinates
from ganport_train.data import ImageSet
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import RidgeClassifier  # type: ignore[import-untyped]

Points = np.ndarray[tuple[int, int], np.dtype[np.float32]]


def dataset_of(labels: list[int]) -> Dataset:
    names = tuple(str(index) for index in range(len(labels)))
    class_names = tuple(f"class {index}" for index in range(max(labels) + 1))
    images = np.zeros((len(labels), 2, 2, 1), np.uint8)
    return split(ImageSet(images, np.array(labels), class_names, names, (), ""), seed=0)


def blobs(features: int, distance: float, per_class: int = 40) -> tuple[Points, Dataset]:
    """Three normal clouds around centers `distance` apart or so."""
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), per_class)
    centers = random.normal(size=(3, features)) * distance / math.sqrt(features)
    points = (centers[labels] + random.normal(size=(3 * per_class, features))).astype(np.float32)
    return points, dataset_of(labels.tolist())


def test_the_interval_is_wilsons() -> None:
    accuracy = Accuracy.of(8, 10)
    assert accuracy.value == 0.8
    # worked by hand from Wilson 1927: center (p + z^2 / 2n) / (1 + z^2 / n)
    assert (accuracy.low, accuracy.high) == pytest.approx((0.49016, 0.94331), abs=1e-5)


@given(total=st.integers(1, 500), share=st.floats(0, 1))
def test_the_interval_holds_the_accuracy_and_stays_within_0_and_1(total: int, share: float) -> None:
    accuracy = Accuracy.of(round(share * total), total)
    assert -1e-12 <= accuracy.low <= accuracy.value + 1e-12
    assert accuracy.value - 1e-12 <= accuracy.high <= 1 + 1e-12
    assert accuracy.high - accuracy.low > 0


def test_classes_far_apart_are_all_told_rightly() -> None:
    points, dataset = blobs(features=20, distance=30)
    assert linear_probe(points, dataset).accuracy.value == 1
    assert nearest_neighbors(points, dataset, seed=0).accuracy.value == 1


def test_labels_that_mean_nothing_are_told_no_better_than_by_chance() -> None:
    points, dataset = blobs(features=20, distance=0, per_class=200)
    for probe in (linear_probe(points, dataset), nearest_neighbors(points, dataset, seed=0)):
        assert probe.accuracy.low < 1 / 3 < probe.accuracy.high


def test_a_linear_probe_on_rotated_coordinates_is_the_one_on_the_features_themselves() -> None:
    vectors, dataset = blobs(features=500, distance=5)
    assert dataset.labels is not None
    train, test = dataset.train, dataset.test
    standard = (vectors - vectors[train].mean(axis=0)) / vectors[train].std(axis=0)
    standard /= np.sqrt(np.square(standard[train]).sum(axis=1).mean())

    probe = linear_probe(coordinates(vectors.copy(), train, "test"), dataset)
    plain = RidgeClassifier(alpha=probe.chosen).fit(standard[train], dataset.labels[train])
    expected = int((plain.predict(standard[test]) == dataset.labels[test]).sum())
    assert probe.accuracy.correct == expected
    assert probe.setting == "penalty"
    assert probe.chosen in PENALTIES


def test_noise_in_the_labels_asks_for_more_than_one_neighbor() -> None:
    points, dataset = blobs(features=5, distance=30, per_class=100)
    assert dataset.labels is not None
    wrong = np.random.default_rng(1).random(300) < 0.3
    noisy = np.where(wrong, (dataset.labels + 1) % 3, dataset.labels)
    probe = nearest_neighbors(points, dataset_of(noisy.tolist()), seed=0)
    assert probe.setting == "neighbors"
    assert probe.chosen > 1


def test_the_floor_is_the_share_of_the_largest_class() -> None:
    floor = majority(dataset_of([0] * 60 + [1] * 20))
    assert (floor.correct, floor.total) == (15, 20)


def test_a_probe_of_the_smallest_classes_works() -> None:
    points, dataset = blobs(features=8, distance=40, per_class=4)
    assert nearest_neighbors(points, dataset, seed=0).accuracy.total == 3
    assert linear_probe(points, dataset).accuracy.total == 3
