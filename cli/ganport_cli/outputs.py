"""What commands write: one file, whole or not at all, such as an array, a grid of images or a document."""

import math
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from ganport_runtime.atomic import replacing_file
from ganport_train.grid import grid
from numpy.lib import format as npy
from numpy.typing import NDArray

MAX_IMAGES = 4096  # 64 x 64 of them: more can hardly be looked at, and viewers give up
PNG_CHANNELS = (1, 2, 3, 4)  # gray, gray with alpha, color, color with alpha


class WriteError(Exception):
    """Results cannot be written; the text says where, why and what to do."""

    @classmethod
    def of(cls, path: Path, error: OSError) -> "WriteError":
        """The system's refusal of `path`."""
        why = error.strerror or error
        return cls(f"{path} cannot be written ({why}); mend that, or name another place, and run it again")


def check_free(out: Path, *, overwrite: bool) -> None:
    """Check that `out` may be written, before any work is done.

    Raises:
        WriteError: it is there already.
    """
    if out.is_dir():
        raise WriteError(f"{out} is a folder; name a file, or remove it")
    if out.exists() and not overwrite:
        raise WriteError(f"{out} exists; name another file, or pass --overwrite to replace it")


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A hidden file beside `path` to write to, renamed to `path` as the block ends, deleted where it fails.

    Raises:
        WriteError: the system refused; the text has its reason.
    """
    try:
        with replacing_file(path) as partial:
            yield partial
    except OSError as error:
        raise WriteError.of(path, error) from error


def write_array(out: Path, batches: Iterable[NDArray[Any]], *, shape: tuple[int, ...], dtype: type[np.generic]) -> None:
    """Write batches one after another as one array of `shape`.

    Args:
        out: the file.
        batches: arrays [n, *shape[1:]] of `dtype`, `shape[0]` rows in all.
        shape: of the whole array.
        dtype: of its elements.

    Raises:
        WriteError: the disk has no room for it, or the system refused.
    """
    _check_space(out, math.prod(shape) * np.dtype(dtype).itemsize)
    header = {"descr": npy.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
    with writing(out) as partial, partial.open("wb") as file:
        npy.write_array_header_1_0(file, header)
        for batch in batches:
            file.write(np.ascontiguousarray(batch).data)


def _check_space(out: Path, wanted: int) -> None:
    """Check that the disk has room for so many bytes."""
    folder = next(parent for parent in out.absolute().parents if parent.exists())
    free = shutil.disk_usage(folder).free
    if wanted > free:
        raise WriteError(
            f"{out} needs {wanted / 1e9:,.1f} GB, {folder} has {free / 1e9:,.1f} GB free; ask for fewer images, "
            "or name a place with more room"
        )


def write_grid(out: Path, batches: Iterable[NDArray[np.uint8]], *, gap: int = 0) -> None:
    """Write images as a near-square grid into one PNG.

    Args:
        out: the file.
        batches: uint8 [n, height, width, channels] each, at most `MAX_IMAGES` in all, at least one.
        gap: white pixels around every image.
    """
    with writing(out) as partial:
        grid(np.concatenate(list(batches)), gap=gap).save(partial, "PNG")


def check_channels(shape: tuple[int, ...]) -> None:
    """Check that images of shape (height, width, channels) fit in a PNG.

    Raises:
        WriteError: there is no PNG of so many channels.
    """
    if shape[2] not in PNG_CHANNELS:
        raise WriteError(f"images of {shape[2]} channels fit in no PNG; write an .npy")
