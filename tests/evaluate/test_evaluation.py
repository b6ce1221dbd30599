import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from ganport_evaluate import Evaluation, evaluate
from ganport_evaluate.dataset import FeaturesError
from ganport_evaluate.measurements import project

SaveImages = Callable[..., str]
MakeBundle = Callable[..., Path]
MakeImages = Callable[..., tuple[npt.NDArray[np.uint8], list[str]]]

NAMES = ["discriminator", "random_discriminator", "pixels", "pixels_pca"]


@pytest.fixture(scope="module")
def stripes(striped_images: MakeImages, tmp_path_factory: pytest.TempPathFactory) -> str:
    """120 images of three classes."""
    images, labels = striped_images(40)
    path = tmp_path_factory.mktemp("data") / "images.npz"
    np.savez(path, images=images, labels=labels)
    return str(path)


@pytest.fixture(scope="module")
def evaluation(bundle: Path, stripes: str) -> Evaluation:
    return evaluate(bundle, stripes)


def test_the_controls_stand_beside_the_discriminator(evaluation: Evaluation) -> None:
    assert [result.name for result in evaluation.results] == NAMES
    assert [result.is_control for result in evaluation.results] == [False, True, True, True]
    assert [result.dimensions for result in evaluation.results] == [192, 192, 256, 89]


def test_classes_that_differ_plainly_are_read_and_found(evaluation: Evaluation) -> None:
    for result in evaluation.results:
        assert result.linear_probe is not None
        assert result.nearest_neighbors is not None
        assert result.linear_probe.accuracy.value > 0.9
        assert result.nearest_neighbors.accuracy.value > 0.9
        assert result.clusters.normalized_mutual_information == pytest.approx(1)
        assert result.clusters.adjusted_rand_index == pytest.approx(1)
    assert evaluation.floor is not None
    assert evaluation.floor.value == pytest.approx(1 / 3)


def test_shuffled_labels_cannot_be_read(bundle: Path, striped_images: MakeImages, save_images: SaveImages) -> None:
    images, labels = striped_images(60)
    shuffled = np.random.default_rng(0).permutation(labels)
    for result in evaluate(bundle, save_images(images, list(shuffled))).results:
        assert result.linear_probe is not None
        assert result.linear_probe.accuracy.low < 1 / 3
        assert abs(result.clusters.adjusted_rand_index or 0) < 0.1


def test_equal_seeds_give_equal_documents(bundle: Path, stripes: str, evaluation: Evaluation) -> None:
    assert evaluate(bundle, stripes).to_json() == evaluation.to_json()
    assert evaluate(bundle, stripes, seed=1).to_json() != evaluation.to_json()


def test_the_document_is_plain_json_and_names_what_it_was_made_from(evaluation: Evaluation, bundle: Path) -> None:
    document = json.loads(json.dumps(evaluation.to_json(), allow_nan=False))
    assert document["classes"] == {"across": 40, "along": 40, "diagonal": 40}
    assert document["split"] == {"train": 90, "held_out": 30}
    assert document["bundle"] == {"path": str(bundle), "digest": evaluation.bundle_digest}
    assert [entry["name"] for entry in document["representations"]] == NAMES
    probe = document["representations"][0]["linear_probe"]
    assert probe["accuracy"]["total"] == 30
    assert probe["penalty"] > 0


def test_without_labels_there_are_clusters_and_a_word_on_why_no_more(
    bundle: Path, striped_images: MakeImages, save_images: SaveImages
) -> None:
    evaluation = evaluate(bundle, save_images(striped_images(40)[0]))
    assert evaluation.floor is None
    assert [result.name for result in evaluation.results] == NAMES
    for result in evaluation.results:
        assert result.linear_probe is None
        assert result.nearest_neighbors is None
        assert result.clusters.normalized_mutual_information is None
        assert result.clusters.silhouette is not None
        assert result.clusters.silhouette > 0.3
    pixels = evaluation.results[2].clusters
    assert pixels.count == 3
    assert sorted(np.bincount(pixels.assignment)) == [40, 40, 40]
    assert "the images have no labels: clusters and pictures only, no accuracies" in evaluation.notes
    assert evaluation.to_json()["majority_class"] is None


def test_images_of_another_size_are_brought_to_the_discriminators(
    make_bundle: MakeBundle, striped_images: MakeImages, save_images: SaveImages
) -> None:
    images, labels = striped_images(12, channels=3)
    path = save_images(images.repeat(2, axis=1).repeat(2, axis=2), labels)
    assert evaluate(make_bundle(channels=3), path).dataset.images.shape == (36, 16, 16, 3)


def test_pictures_are_drawn_only_when_asked_for(bundle: Path, stripes: str, evaluation: Evaluation) -> None:
    assert all(not result.projections for result in evaluation.results)
    assert any("--report" in note for note in evaluation.notes)


def test_pictures_keep_classes_apart_that_are_apart() -> None:
    random = np.random.default_rng(0)
    points = np.concatenate([random.normal(0, 1, (40, 30)), random.normal(8, 1, (40, 30))]).astype(np.float32)
    pictures = project(points, seed=0)
    assert {"pca", "tsne"} <= pictures.keys()  # and umap where umap-learn is installed
    for method in pictures:
        assert pictures[method].shape == (80, 2)
        first, second = pictures[method][:40], pictures[method][40:]
        apart = np.linalg.norm(first.mean(axis=0) - second.mean(axis=0))
        assert apart > 2 * max(first.std(), second.std())
        np.testing.assert_array_equal(project(points, seed=0)[method], pictures[method])


def test_a_bundle_without_a_discriminator_is_refused(make_bundle: MakeBundle, stripes: str) -> None:
    with pytest.raises(FeaturesError, match="has no discriminator, and features are the discriminator's: export"):
        evaluate(make_bundle(discriminator=False), stripes)


def test_features_that_are_not_finite_are_refused(make_bundle: MakeBundle, stripes: str) -> None:
    weights = {name: np.zeros(shape, np.float32) for name, shape in SHAPES.items()}
    weights["w1"] += np.float32(3e38)  # overflows on bright images, and infinity times 0 is NaN further on
    with pytest.raises(FeaturesError, match=r"discriminator: NaN or infinite features for \d+ of 120 images \(first"):
        evaluate(make_bundle(weights=weights), stripes)


def test_features_that_are_all_alike_are_refused(make_bundle: MakeBundle, stripes: str) -> None:
    weights = {name: np.zeros(shape, np.float32) for name, shape in SHAPES.items()}
    with pytest.raises(FeaturesError, match="discriminator: the same for every training image"):
        evaluate(make_bundle(weights=weights), stripes)


def test_too_few_different_images_for_the_clusters_are_refused(
    bundle: Path, striped_images: MakeImages, save_images: SaveImages
) -> None:
    images, labels = striped_images(40)
    images[:60], images[60:] = images[0], images[60]
    with pytest.raises(FeaturesError, match="fewer than 3 different vectors among 120 images"):
        evaluate(bundle, save_images(images, labels))


SHAPES = {"w1": (4, 1, 4, 4), "b1": (4,), "w2": (8, 4, 4, 4), "b2": (8,), "w3": (1, 128), "b3": (1,)}


def test_color_images_go_to_a_gray_discriminator_as_gray(
    bundle: Path, striped_images: MakeImages, save_images: SaveImages
) -> None:
    evaluation = evaluate(bundle, save_images(*striped_images(40, channels=3)))
    assert evaluation.dataset.images.shape == (120, 16, 16, 1)
