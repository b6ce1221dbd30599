"""A whole source of images in memory: `load_images` and the value it returns."""

import hashlib
import re
import warnings
from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageColor, ImageOps

from ganport_train.data.sources import DAMAGED, Item, open_source
from ganport_train.errors import ConfigError, DataError

# What Pillow raises for a damaged, truncated, unsupported or dangerously large image, besides `DAMAGED`.
UNREADABLE = (*DAMAGED, TypeError, IndexError, KeyError, ZeroDivisionError, OverflowError,
              Image.DecompressionBombError, Image.DecompressionBombWarning)  # fmt: skip
Color = tuple[int, int, int]
INTEGER = re.compile(r"-?\d{1,18}")  # longer rows of digits are names


@dataclass(frozen=True)
class ImageSet:
    """Images of one size, in the order of their names."""

    images: npt.NDArray[np.uint8]  # [n, resolution, resolution, channels]
    labels: npt.NDArray[np.int64] | None  # [n], indices into `class_names`; None where the source has no classes
    class_names: tuple[str, ...]  # sorted, numbers by their value: "2" before "10" before "cat"
    names: tuple[str, ...]  # of the files, relative to the source
    skipped: tuple[str, ...]  # unreadable files
    digest: str  # SHA-256 of pixels, shape and labels
    notes: tuple[str, ...] = ()  # what was left out and why, in sentences

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
    """Every image of `source` (`digits`, a folder, a .zip, an .npz, one image) as a square of `resolution` pixels.

    What is not square loses the ends of its longer side. `channels` None is 1 if every image is gray, otherwise 3;
    `background`, a CSS name or #rrggbb, shows through transparent pixels; `skip_bad` leaves unreadable images out.
    Raises `DataError` for the source and its images, `ConfigError` for the other arguments.
    """
    color = _parse_color(background)
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


def _parse_color(name: str) -> Color:
    """Red, green and blue of a CSS color name or #rrggbb; anything else raises `ConfigError`."""
    try:
        color = ImageColor.getrgb(name)
    except ValueError:
        color = None
    if color is None or len(color) != 3:
        raise ConfigError(f"--background {name!r} is no color: a CSS name such as white, or #rrggbb")
    return color


def prepare(image: Image.Image, resolution: int, background: Color) -> Image.Image:
    """An RGB image of resolution x resolution pixels; errors as Pillow raises them.

    Turned upright as its EXIF says; its first frame; transparency laid onto `background` at full size, so that no
    fringe of hidden colors appears; the largest centered square, resized with antialiasing.
    """
    image.load()
    flat = _flatten(ImageOps.exif_transpose(_eight_bit(image)), background)
    method = Image.Resampling.LANCZOS if min(flat.size) > resolution else Image.Resampling.BICUBIC
    return ImageOps.fit(flat, (resolution, resolution), method)


def _eight_bit(image: Image.Image) -> Image.Image:
    """Gray of 16 bits scaled to 8, not clipped as Pillow's own conversion does; its transparent level becomes alpha."""
    sixteen_bit = image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM"))
    if sixteen_bit:
        values = np.asarray(image).astype(np.uint32)
        gray = ((values * 255 + 32767) // 65535).astype(np.uint8)
        info = dict(image.info)  # where EXIF says which side is up
        transparent = info.pop("transparency", None)  # a level of 16 bits, which no level of 8 stands for alone
        if transparent is not None:
            gray = np.dstack([gray, np.where(values == transparent, 0, 255).astype(np.uint8)])
        scaled = Image.fromarray(gray)
        scaled.info = info
        return scaled
    if image.mode in ("I", "F"):
        raise ValueError(f"mode {image.mode}: 32-bit pixels have no agreed range; save the image with 8 or 16 bits")
    return image


def _flatten(image: Image.Image, background: Color) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    canvas = Image.new("RGBA", image.size, (*background, 255))
    canvas.alpha_composite(image.convert("RGBA"))
    return canvas.convert("RGB")


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
    return (0, int(name), name) if INTEGER.fullmatch(name) else (1, 0, name)


def _digest(images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64] | None) -> str:
    digest = hashlib.sha256(repr(images.shape).encode())
    digest.update(images.data)
    if labels is not None:
        digest.update(labels.astype("<i8").tobytes())
    return digest.hexdigest()


def _some(names: tuple[str, ...], limit: int = 3) -> str:
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")
