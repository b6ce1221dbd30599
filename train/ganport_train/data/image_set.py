"""A whole source of images in memory: `load_images` and the value it returns."""

import hashlib
import re
import warnings
from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from ganport_train.data.prepare import Color, parse_color, prepare
from ganport_train.data.sources import DAMAGED, Item, open_source
from ganport_train.errors import ConfigError, DataError

# What Pillow raises for a damaged, truncated, unsupported or dangerously large image, besides `DAMAGED`.
UNREADABLE = (*DAMAGED, TypeError, IndexError, KeyError, ZeroDivisionError, OverflowError,
              Image.DecompressionBombError, Image.DecompressionBombWarning)  # fmt: skip
INTEGER = re.compile(r"-?\d{1,18}")  # longer rows of digits are names


@dataclass(frozen=True)
class ImageSet:
    """Images of one size, in the order of their names.

    Attributes:
        images: uint8 [n, resolution, resolution, channels].
        labels: int64 [n], indices into `class_names`; None where the source has no classes.
        class_names: Sorted, numbers by their value; empty without labels.
        names: File names relative to the source, [n].
        skipped: Names of unreadable files that were left out.
        digest: SHA-256 of pixels, shape and labels.
        notes: What was left out and why, in sentences.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64] | None
    class_names: tuple[str, ...]
    names: tuple[str, ...]
    skipped: tuple[str, ...]
    digest: str
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.images)


def load_images(
    source: str,
    *,
    resolution: int,
    channels: int | None = None,
    background: str = "white",
    skip_bad: bool = False,
) -> ImageSet:
    """Every image of `source`, brought to `resolution` x `resolution` pixels with antialiasing.

    Args:
        source: `digits`, or the path of a folder, a .zip, an .npz or one image.
        resolution: Height and width in pixels; what is not square loses the ends of its longer side.
        channels: 1 gray, 3 color, None: 1 if every image is gray, otherwise 3.
        background: Color below transparent pixels: a CSS name or #rrggbb.
        skip_bad: Leave unreadable images out and count them, instead of stopping at the first.

    Raises:
        DataError: The source cannot be read or is empty, or an image is unreadable.
        ConfigError: A background that is no color, or other than 1 or 3 channels.
    """
    color = parse_color(background)
    if channels not in (None, 1, 3):
        raise ConfigError(f"--channels {channels} is none of 1, 3")
    found = open_source(str(source))
    read, skipped = _read(found.items, source, resolution, color, skip_bad=skip_bad)
    images = _to_channels(np.stack([pixels for _, pixels in read]), channels)
    labels, class_names, notes = _labels([item.class_name for item, _ in read])
    if skipped:
        notes += (f"{len(skipped)} unreadable images were skipped: {_some(skipped)}",)
    names = tuple(item.name for item, _ in read)
    return ImageSet(images, labels, class_names, names, skipped, _digest(images, labels), found.notes + notes)


def _read(
    items: tuple[Item, ...], source: str, resolution: int, color: Color, *, skip_bad: bool
) -> tuple[list[tuple[Item, npt.NDArray[np.uint8]]], tuple[str, ...]]:
    read, skipped = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata, which say nothing of the pixels
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for item in items:
            try:
                read.append((item, np.asarray(prepare(item.open(), resolution, color))))
            except UNREADABLE as error:
                if not skip_bad:
                    reason = " ".join(str(error).split()) or type(error).__name__
                    raise DataError(
                        f"{source}: {item.name} is unreadable ({reason}): mend or remove it, or pass --skip-bad"
                    ) from None
                skipped.append(item.name)
    if not read:
        raise DataError(f"{source}: none of its {len(skipped)} images is readable: {_some(tuple(skipped))}")
    return read, tuple(skipped)


def _to_channels(images: npt.NDArray[np.uint8], channels: int | None) -> npt.NDArray[np.uint8]:
    is_gray = bool((images[..., :1] == images[..., 1:]).all())
    if channels == 3 or (channels is None and not is_gray):
        return images
    if is_gray:
        return np.ascontiguousarray(images[..., :1])
    return np.stack([np.asarray(Image.fromarray(image).convert("L")) for image in images])[..., None]


def _labels(classes: list[str | None]) -> tuple[npt.NDArray[np.int64] | None, tuple[str, ...], tuple[str, ...]]:
    counts = Counter(classes)
    loose = counts.pop(None, 0)
    if loose and counts:
        return None, (), (f"{loose} images lie outside the {len(counts)} class folders, so there are no labels",)
    if not counts:
        return None, (), ()
    class_names = tuple(sorted((str(name) for name in counts), key=_class_order))
    index = {name: number for number, name in enumerate(class_names)}
    return np.array([index[str(name)] for name in classes], dtype=np.int64), class_names, ()


def _class_order(name: str) -> tuple[int, int, str]:
    """Numbers in their own order, then texts in theirs: "2" before "10" before "cat"."""
    return (0, int(name), name) if INTEGER.fullmatch(name) else (1, 0, name)


def _digest(images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64] | None) -> str:
    digest = hashlib.sha256(repr(images.shape).encode())
    digest.update(images.data)
    if labels is not None:
        digest.update(labels.astype("<i8").tobytes())
    return digest.hexdigest()


def _some(names: tuple[str, ...], limit: int = 3) -> str:
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")
