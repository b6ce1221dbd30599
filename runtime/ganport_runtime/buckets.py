"""Splits a batch of any size into runs of at most the top bucket."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BUCKETS", "TOP", "bucket_of", "padded", "parts"]

BUCKETS = (1, 2, 4, 8, 16, 32, 64)
TOP = BUCKETS[-1]
_BUCKET_OF = tuple(next(bucket for bucket in BUCKETS if bucket >= count) for count in range(TOP + 1))


def parts(count: int, top: int = TOP) -> Iterator[slice]:
    """Consecutive slices of 0 to `count`, each `top` long but the last."""
    for start in range(0, count, top):
        yield slice(start, min(start + top, count))


def bucket_of(count: int) -> int:
    """The smallest bucket that holds `count`, 1 to `TOP`."""
    return _BUCKET_OF[count]


def padded(batch: NDArray[Any]) -> NDArray[Any]:
    """The batch with rows of zeros up to its bucket; itself where it fills one."""
    missing = bucket_of(len(batch)) - len(batch)
    if missing == 0:
        return batch
    return np.concatenate([batch, np.zeros((missing, *batch.shape[1:]), batch.dtype)])
