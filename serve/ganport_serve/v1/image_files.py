"""PNG, JPEG and WebP files as the discriminator takes images."""

import io
import warnings

import numpy as np
from ganport_runtime.text import one_line
from ganport_train.data.prepare import prepare
from numpy.typing import NDArray
from PIL import Image

from ganport_serve.problems import ProblemError, bad_field

__all__ = ["FORMATS", "decode"]

FORMATS = ("PNG", "JPEG", "WEBP")
MOST_PIXELS = 2**24  # of a file that is to be resized
WHITE = (255, 255, 255)  # below transparent pixels
# What Pillow raises for files that are damaged, truncated, or made to do harm.
UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, RuntimeError, NotImplementedError, MemoryError, TypeError,
              IndexError, KeyError, AttributeError, ZeroDivisionError, OverflowError, Warning,
              Image.DecompressionBombError)  # fmt: skip

# Pillow only warns of pictures that are twice as large as it trusts; a server takes none of them.
warnings.simplefilter("error", Image.DecompressionBombWarning)


def decode(files: list[bytes], shape: tuple[int, int, int], *, resize: bool) -> NDArray[np.uint8]:
    """Image files as one batch, uint8 [n, height, width, channels].

    Upright as EXIF says, transparency on white, 16 bits to 8; where resized, as `ganport embed` does: the largest
    centered square, with antialiasing.

    Args:
        files: each one image.
        shape: (height, width, channels) of the discriminator's images.
        resize: take images of other sizes too.

    Raises:
        ProblemError: 400 naming the file: it is unreadable, moves, or has another size.
    """
    height, width, channels = shape
    if height != width or channels not in (1, 3):
        raise bad_field(
            "body", f"this discriminator takes {list(shape)}; only gray or color squares fit in files: send .npy"
        )
    images = np.empty((len(files), *shape), np.uint8)
    for number, content in enumerate(files):
        images[number] = _decode(content, number, shape, resize=resize)
    return images


def _decode(content: bytes, number: int, shape: tuple[int, int, int], *, resize: bool) -> NDArray[np.uint8]:
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            _check(image, number, shape, resize=resize)
            color = prepare(image, shape[0], WHITE)
        return np.asarray(color.convert("L"))[..., None] if shape[2] == 1 else np.asarray(color)
    except ProblemError:
        raise
    except UNREADABLE as error:
        reason = one_line(str(error).split(" <_io")[0], 120) or type(error).__name__
        raise bad_field(
            "body", f"image {number} is unreadable ({reason}); send a whole PNG, JPEG or WebP file"
        ) from None


def _check(image: Image.Image, number: int, shape: tuple[int, int, int], *, resize: bool) -> None:
    """See from its header alone that an image is wanted."""
    width, height = image.size
    if getattr(image, "is_animated", False):
        raise bad_field("body", f"image {number} is animated; send one of its frames")
    if width * height > MOST_PIXELS:
        raise bad_field(
            "body", f"image {number} has {width} x {height} pixels, more than {MOST_PIXELS}; send a smaller one"
        )
    if not resize and image.size != (shape[1], shape[0]):
        raise bad_field(
            "body",
            f"image {number} has {width} x {height} pixels, wanted {shape[1]} x {shape[0]}; "
            "resize it, or ask with resize=true",
        )
