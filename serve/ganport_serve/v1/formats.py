"""Images as files: PNG and WebP of a grid, .npy, and a .zip of PNGs; the same images give the same bytes."""

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from ganport_train.grid import grid, picture
from numpy.typing import NDArray
from PIL import Image

__all__ = ["FORMATS", "NPY", "Format", "npy_bytes"]

Images = NDArray[np.uint8]

NPY = "application/x-npy"
LEVEL = 1  # of zlib: a tenth larger than the default level, in two thirds of its time
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the first moment that a .zip can tell


@dataclass(frozen=True)
class Format:
    """One kind of file.

    Attributes:
        media_type: of the answer.
        is_picture: one picture of all images, which people look at, rather than a file that they keep.
        encode: uint8 [n, height, width, channels] and the number of the first image to the file's bytes.
    """

    media_type: str
    is_picture: bool
    encode: Callable[[Images, int], bytes]


def _png(images: Images, first: int) -> bytes:
    del first
    return _save(grid(images), "PNG", compress_level=LEVEL)


def _webp(images: Images, first: int) -> bytes:
    del first
    return _save(grid(images), "WEBP", lossless=True, exact=True, method=0)  # exact: colors below transparency too


def _zip(images: Images, first: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for index, image in enumerate(images, first):
            name = zipfile.ZipInfo(f"{index:08d}.png", LONG_AGO)
            archive.writestr(name, _save(picture(image), "PNG", compress_level=LEVEL))
    return out.getvalue()


def npy_bytes(array: NDArray[np.generic]) -> bytes:
    """One array as an .npy file."""
    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    return out.getvalue()


def _save(image: Image.Image, kind: str, **options: int) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


FORMATS = {
    "png": Format("image/png", True, _png),
    "webp": Format("image/webp", True, _webp),
    "npy": Format(NPY, False, lambda images, _: npy_bytes(images)),
    "zip": Format("application/zip", False, _zip),
}
