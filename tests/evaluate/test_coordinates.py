import numpy as np
import pytest
from ganport_evaluate.dataset import FeaturesError
from ganport_evaluate.representations import coordinates, rotate
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist  # type: ignore[import-untyped]


def vectors(count: int, features: int, seed: int = 0) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    random = np.random.default_rng(seed)
    return (random.normal(size=(count, features)) * random.uniform(0.1, 30, features) + 5).astype(np.float32)


@settings(max_examples=30, deadline=None)
@given(count=st.integers(2, 30), features=st.integers(1, 80), seed=st.integers(0, 99))
def test_a_rotation_keeps_every_inner_product_in_as_few_numbers_as_there_are_images(
    count: int, features: int, seed: int
) -> None:
    given_vectors = vectors(count, features, seed)
    expected = given_vectors.astype(np.float64) @ given_vectors.astype(np.float64).T
    rotated = rotate(given_vectors.copy())
    assert rotated.shape == (count, min(count, features))
    np.testing.assert_allclose(rotated @ rotated.T, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("features", [12, 300])
def test_distances_are_those_of_standardized_features_up_to_one_factor(features: int) -> None:
    given_vectors, train = vectors(40, features), np.arange(30)
    fitted = given_vectors[train].astype(np.float64)
    expected = cdist(*[(given_vectors - fitted.mean(axis=0)) / fitted.std(axis=0)] * 2)
    points = coordinates(given_vectors.copy(), train, "test")
    ratios = (cdist(points, points) / (expected + np.eye(40)))[~np.eye(40, dtype=bool)]
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-4)
    assert np.square(points[train]).sum(axis=1).mean() == pytest.approx(1, rel=1e-5)


def test_the_unit_of_a_feature_makes_no_difference() -> None:
    given_vectors, train = vectors(30, 100), np.arange(20)
    units = np.random.default_rng(1).uniform(0.01, 100, 100).astype(np.float32)
    points = coordinates(given_vectors.copy(), train, "test")
    in_other_units = coordinates(given_vectors * units, train, "test")
    np.testing.assert_allclose(cdist(in_other_units, in_other_units), cdist(points, points), atol=1e-4)


def test_an_image_alone_in_changing_a_feature_lies_no_world_away() -> None:
    """The corner pixel of drawings on white: next to no deviation over the training images."""
    given_vectors, train = vectors(100, 30), np.arange(75)
    given_vectors[:, 0] = 255
    given_vectors[10, 0] = 254
    given_vectors[90, 0] = 0
    points = coordinates(given_vectors, train, "test")
    distances = cdist(points, points)
    assert distances[90].mean() < 1.5 * np.delete(distances, 90, axis=0).mean()


def test_vectors_that_are_all_alike_are_refused_by_name() -> None:
    with pytest.raises(FeaturesError, match="raw pixels: the same for every training image"):
        coordinates(np.ones((12, 30), np.float32), np.arange(9), "raw pixels")
