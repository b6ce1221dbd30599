"""Many images as one picture. No PyTorch here."""

import math

import numpy as np
import numpy.typing as npt
from PIL import Image

WHITE = 255


def grid(images: npt.NDArray[np.uint8], *, gap: int = 0) -> Image.Image:
    """Images, uint8 [n, height, width, channels], as near to a square as they go; `gap` white pixels around each."""
    framed = np.pad(images, ((0, 0), (gap, gap), (gap, gap), (0, 0)), constant_values=WHITE)
    count, height, width, channels = framed.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    cells = np.full((rows * columns, height, width, channels), WHITE, np.uint8)
    cells[:count] = framed
    lines = cells.reshape(rows, columns, height, width, channels).transpose(0, 2, 1, 3, 4)
    return picture(lines.reshape(rows * height, columns * width, channels))


def picture(pixels: npt.NDArray[np.uint8]) -> Image.Image:
    """One image, uint8 [height, width, channels], for Pillow, which wants gray ones without a channel."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
