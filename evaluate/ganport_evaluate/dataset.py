"""The images of an evaluation, split once for every representation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from ganport_train.data import ImageSet

MIN_IMAGES = 10
MIN_CLASS_IMAGES = 4  # one held out at TEST_SHARE, and enough left for two folds of cross-validation
TEST_SHARE = 0.25


class FeaturesError(Exception):
    """A bundle or images whose features cannot be evaluated."""


@dataclass(frozen=True)
class Dataset:
    """Images, their classes where they have any, and which of them are held out."""

    images: npt.NDArray[np.uint8]  # [n, height, width, channels]
    names: tuple[str, ...]  # of the files
    labels: npt.NDArray[np.int64] | None  # [n], indices into `class_names`; None without labels
    class_names: tuple[str, ...]  # of the classes that take part
    train: npt.NDArray[np.int64]  # indices of what scalings and classifiers are fitted on; all without labels
    test: npt.NDArray[np.int64]  # indices of the held-out images; empty without labels
    notes: tuple[str, ...]  # what was left out

    def __len__(self) -> int:
        return len(self.images)


def split(images: ImageSet, seed: int) -> Dataset:
    """Hold out a quarter of each class, the same for every call with the same images and seed.

    Classes of fewer than four images cannot be split and are left out; a note names them. Fewer than ten images, or
    fewer than two classes that can be split, raise `FeaturesError`.
    """
    from sklearn.model_selection import train_test_split  # type: ignore[import-untyped]

    if images.labels is None:
        _check_count(len(images), "")
        everything = np.arange(len(images))
        return Dataset(images.images, images.names, None, (), everything, everything[:0], images.notes)
    kept, labels, class_names, notes = _usable(images.labels, images.class_names)
    left_out = f" once {len(images) - len(kept)} of too small classes are left out" if len(kept) < len(images) else ""
    _check_classes(class_names, images.class_names)
    _check_count(len(kept), left_out)
    train, test = train_test_split(np.arange(len(labels)), test_size=TEST_SHARE, stratify=labels, random_state=seed)
    names = tuple(images.names[index] for index in kept)
    halves = (np.sort(train), np.sort(test))
    return Dataset(images.images[kept], names, labels, class_names, *halves, (*images.notes, *notes))


def _usable(
    labels: npt.NDArray[np.int64], class_names: Sequence[str]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], tuple[str, ...], tuple[str, ...]]:
    """Indices, new labels and names of the classes that are large enough, and a note on the others."""
    counts = np.bincount(labels, minlength=len(class_names))
    large = counts >= MIN_CLASS_IMAGES
    kept = np.flatnonzero(large[labels])
    renumbered = np.cumsum(large) - 1
    small = ", ".join(f"{class_names[index]} ({counts[index]})" for index in np.flatnonzero(~large).tolist())
    note = f"classes of fewer than {MIN_CLASS_IMAGES} images cannot be split and are left out: {small}"
    names = tuple(class_names[index] for index in np.flatnonzero(large).tolist())
    return kept, renumbered[labels[kept]], names, (note,) if small else ()


def _check_count(count: int, left_out: str) -> None:
    if count < MIN_IMAGES:
        raise FeaturesError(f"--data holds {count} images{left_out}, too few to evaluate: give {MIN_IMAGES} or more")


def _check_classes(usable: Sequence[str], given: Sequence[str]) -> None:
    if len(usable) < 2:
        found = f"only the class {given[0]}" if len(given) == 1 else f"{len(usable)} classes large enough"
        raise FeaturesError(
            f"--data holds {found}, wanted two or more of {MIN_CLASS_IMAGES} images each: "
            "add classes, or leave labels out (a folder without sub-folders, an .npz without labels) for clusters and "
            "pictures alone"
        )
