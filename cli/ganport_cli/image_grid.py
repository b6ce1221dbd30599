"""The grid of `ganport generate`: one PNG of many images."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from ganport_train.grid import grid
from numpy.typing import NDArray

from ganport_cli.files import OutputError, writing

__all__ = ["MAX_IMAGES", "check_channels", "write_grid"]

MAX_IMAGES = 4096  # 64 x 64 of them: more can hardly be looked at, and viewers give up
PNG_CHANNELS = (1, 2, 3, 4)  # gray, gray with alpha, color, color with alpha


def write_grid(out: Path, batches: Iterable[NDArray[np.uint8]], *, gap: int = 0) -> None:
    """Write images as a near-square grid into one PNG.

    Args:
        out: the file.
        batches: uint8 [n, height, width, channels] each, at most `MAX_IMAGES` in all, at least one.
        gap: white pixels around every image.
    """
    with writing(out) as aside:
        grid(np.concatenate(list(batches)), gap=gap).save(aside, "PNG")


def check_channels(shape: tuple[int, ...]) -> None:
    """See that images of shape (height, width, channels) fit in a PNG.

    Raises:
        OutputError: there is no PNG of so many channels.
    """
    if shape[2] not in PNG_CHANNELS:
        raise OutputError(f"images of {shape[2]} channels fit in no PNG; write an .npy")
