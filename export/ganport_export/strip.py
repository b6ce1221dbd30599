"""A picture for the eye: images of the reference, the same ones of a variant, and their difference, eight times."""

import io

import numpy as np
from ganport_train.grid import WHITE, picture

from ganport_export.reference import Pixels

__all__ = ["AMPLIFIED", "strip"]

AMPLIFIED = 8  # times that a difference is shown; 32 and more of 255 are white
GAP = 2  # white pixels between images


def strip(reference: Pixels, variant: Pixels) -> bytes:
    """A PNG file of three rows: the reference's images, the variant's, and how much they differ: black is not at all.

    Args:
        reference: uint8 [n, height, width, channels], n at least 1, 1 or 3 channels.
        variant: its images of the same latents.
    """
    difference = np.abs(reference.astype(np.int16) - variant) * AMPLIFIED
    rows = np.stack([reference, variant, np.minimum(difference, 255).astype(np.uint8)])
    framed = np.pad(rows, ((0, 0), (0, 0), (0, GAP), (0, GAP), (0, 0)), constant_values=WHITE)
    height, channels = framed.shape[2], framed.shape[4]
    sheet = framed.transpose(0, 2, 1, 3, 4).reshape(3 * height, -1, channels)
    buffer = io.BytesIO()
    picture(sheet[:-GAP, :-GAP]).save(buffer, "PNG")
    return buffer.getvalue()
