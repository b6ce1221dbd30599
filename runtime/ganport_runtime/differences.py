"""How far images are from what they should be, in the terms that people know: PSNR and pixel values of 255."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

PSNR_LIMIT_DB = 100.0  # identical images would be infinite, which JSON cannot say


@dataclass(frozen=True)
class Difference:
    """Images against their reference."""

    psnr_db_mean: float  # of the images' own PSNRs, each 100 dB at most
    psnr_db_worst: float
    largest_difference: int  # of any pixel value, 0 to 255
    share_off: float  # of pixel values that differ at all
    images: int

    def __str__(self) -> str:
        return (
            f"PSNR mean {self.psnr_db_mean:.1f} dB, worst {self.psnr_db_worst:.1f} dB, "
            f"largest difference {self.largest_difference} of 255"
        )


def psnr_db(mean_squares: ArrayLike, peak: float = 255.0) -> NDArray[np.float64]:
    """Peak signal-to-noise ratio in dB of mean squared errors: 10 log10(peak^2 / error), 100 dB at most."""
    noise = np.maximum(mean_squares, peak**2 / 10 ** (PSNR_LIMIT_DB / 10))
    return np.asarray(10 * np.log10(peak**2 / noise))


def compare(images: NDArray[np.uint8], reference: NDArray[np.uint8]) -> Difference:
    """Compare uint8 images [n, height, width, channels], n 1 or more, with their reference of the same shape."""
    difference = np.abs(images.astype(np.int16) - reference)
    squares = (difference.astype(np.float32) ** 2).reshape(len(images), -1).mean(axis=1, dtype=np.float64)
    psnr = psnr_db(squares)
    return Difference(
        psnr_db_mean=float(psnr.mean()),
        psnr_db_worst=float(psnr.min()),
        largest_difference=int(difference.max()),
        share_off=float((difference > 0).mean()),
        images=len(images),
    )
