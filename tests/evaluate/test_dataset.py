import numpy as np
import pytest
from ganport_evaluate.dataset import Dataset, FeaturesError, split
from ganport_train.data import ImageSet


def image_set(*counts: int, labeled: bool = True) -> ImageSet:
    """Images whose pixels hold their own index, in classes a, b, c, ... of these sizes."""
    total = sum(counts)
    images = np.repeat(np.arange(total, dtype=np.uint8), 4).reshape(total, 2, 2, 1)
    labels = np.repeat(np.arange(len(counts)), counts) if labeled else None
    names = tuple(f"{index}.png" for index in range(total))
    return ImageSet(images, labels, tuple("abcdef"[: len(counts)]) if labeled else (), names, (), "digest")


def classes(dataset: Dataset, indices: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[int]:
    assert dataset.labels is not None
    return [int(count) for count in np.bincount(dataset.labels[indices])]


def test_a_quarter_of_each_class_is_held_out() -> None:
    dataset = split(image_set(40, 20, 12), seed=0)
    assert classes(dataset, dataset.test) == [10, 5, 3]
    assert classes(dataset, dataset.train) == [30, 15, 9]
    assert sorted([*dataset.train, *dataset.test]) == list(range(72))


def test_the_split_follows_from_the_seed_alone() -> None:
    first, second, other = (split(image_set(40, 40), seed) for seed in (3, 3, 4))
    assert first.test.tolist() == second.test.tolist() != other.test.tolist()


def test_classes_too_small_to_split_are_left_out_and_named() -> None:
    dataset = split(image_set(8, 3, 8, 1), seed=0)
    assert dataset.class_names == ("a", "c")
    assert [int(image[0, 0, 0]) for image in dataset.images] == [*range(8), *range(11, 19)]
    assert classes(dataset, np.arange(16)) == [8, 8]
    assert dataset.names[8] == "11.png"
    assert dataset.notes == ("classes of fewer than 4 images cannot be split and are left out: b (3), d (1)",)


def test_the_smallest_classes_that_stay_are_on_both_sides() -> None:
    dataset = split(image_set(4, 4, 4, 4), seed=0)
    assert classes(dataset, dataset.train) == [3, 3, 3, 3]
    assert classes(dataset, dataset.test) == [1, 1, 1, 1]


def test_without_labels_nothing_is_held_out() -> None:
    dataset = split(image_set(12, labeled=False), seed=0)
    assert dataset.labels is None
    assert dataset.train.tolist() == list(range(12))
    assert dataset.test.size == 0


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (image_set(9, labeled=False), "--data holds 9 images, too few"),
        (image_set(4, 4), "--data holds 8 images, too few"),
        (image_set(4, 4, 3), "--data holds 8 images once 3 of too small classes are left out, too few"),
        (image_set(30), "--data holds only the class a, wanted two or more"),
        (image_set(30, 3, 2), "--data holds 1 classes large enough, wanted two or more"),
    ],
)
def test_images_that_cannot_be_evaluated_are_refused(images: ImageSet, message: str) -> None:
    with pytest.raises(FeaturesError, match=message):
        split(images, seed=0)
