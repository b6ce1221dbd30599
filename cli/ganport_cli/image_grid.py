"""Many images as one picture."""

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganport_cli.files import OutputError, writing

__all__ = ["MAX_IMAGES", "PNG_CHANNELS", "arrange", "check_channels", "picture", "write_grid"]

MAX_IMAGES = 4096  # 64 x 64 of them: more can hardly be looked at, and viewers give up
PNG_CHANNELS = (1, 2, 3, 4)  # gray, gray with alpha, color, color with alpha
WHITE = 255


def write_grid(out: Path, batches: Iterable[NDArray[np.uint8]], *, gap: int = 0) -> None:
    """Write images as a near-square grid into one PNG.

    Args:
        out: the file.
        batches: uint8 [n, height, width, channels] each, at most `MAX_IMAGES` in all, at least one.
        gap: white pixels around every image.
    """
    images = np.concatenate(list(batches))
    framed = np.pad(images, ((0, 0), (gap, gap), (gap, gap), (0, 0)), constant_values=WHITE)
    with writing(out) as aside:
        picture(arrange(framed)).save(aside, "PNG")


def arrange(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images [n, height, width, channels] row by row in a near-square grid; empty cells white."""
    count, height, width, channels = images.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    cells = np.full((rows * columns, height, width, channels), WHITE, np.uint8)
    cells[:count] = images
    lines = cells.reshape(rows, columns, height, width, channels).transpose(0, 2, 1, 3, 4)
    return lines.reshape(rows * height, columns * width, channels)


def check_channels(shape: tuple[int, ...]) -> None:
    """See that images of shape (height, width, channels) fit in a PNG.

    Raises:
        OutputError: there is no PNG of so many channels.
    """
    if shape[2] not in PNG_CHANNELS:
        raise OutputError(f"images of {shape[2]} channels fit in no PNG; write an .npy")


def picture(pixels: NDArray[np.uint8]) -> Image.Image:
    """A Pillow image of uint8 [height, width, channels], its channels among `PNG_CHANNELS`."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
