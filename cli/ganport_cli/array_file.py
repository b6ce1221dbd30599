"""An .npy written batch by batch, in memory that does not grow with it."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ganport_cli.files import writing

__all__ = ["write_array"]


def write_array(out: Path, batches: Iterable[NDArray[Any]], *, shape: tuple[int, ...], dtype: type[np.generic]) -> None:
    """Write batches one after another as one array of `shape`.

    Args:
        out: the file.
        batches: arrays [n, *shape[1:]] of `dtype`, `shape[0]` rows in all.
        shape: of the whole array.
        dtype: of its elements.
    """
    header = {"descr": npy.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
    with writing(out) as aside, aside.open("wb") as file:
        npy.write_array_header_1_0(file, header)
        for batch in batches:
            file.write(np.ascontiguousarray(batch).data)
        file.flush()
        os.fsync(file.fileno())
