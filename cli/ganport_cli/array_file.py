"""An .npy written batch by batch, in memory that does not grow with it."""

import math
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ganport_cli.files import OutputError, writing

__all__ = ["write_array"]


def write_array(out: Path, batches: Iterable[NDArray[Any]], *, shape: tuple[int, ...], dtype: type[np.generic]) -> None:
    """Write batches one after another as one array of `shape`.

    Args:
        out: the file.
        batches: arrays [n, *shape[1:]] of `dtype`, `shape[0]` rows in all.
        shape: of the whole array.
        dtype: of its elements.

    Raises:
        OutputError: the disk has no room for it, or the system refused.
    """
    _check_space(out, math.prod(shape) * np.dtype(dtype).itemsize)
    header = {"descr": npy.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
    with writing(out) as aside, aside.open("wb") as file:
        npy.write_array_header_1_0(file, header)
        for batch in batches:
            file.write(np.ascontiguousarray(batch).data)
        file.flush()
        os.fsync(file.fileno())


def _check_space(out: Path, wanted: int) -> None:
    """See that the disk has room before hours go into filling it."""
    folder = next(parent for parent in out.absolute().parents if parent.exists())
    free = shutil.disk_usage(folder).free
    if wanted > free:
        raise OutputError(
            f"{out} needs {wanted / 1e9:,.1f} GB, {folder} has {free / 1e9:,.1f} GB free; ask for fewer images, "
            "or name a place with more room"
        )
