"""Splits a batch of any size into runs of at most the top bucket, and pads where a session wants whole buckets."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganport_runtime.backends import Session

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


def run_part(session: Session, outputs: Sequence[str], batch: NDArray[Any]) -> list[NDArray[Any]]:
    """The named outputs of a batch of 1 to `TOP`."""
    name = session.inputs[0].name
    if not session.pads_to_bucket:
        return session.run(outputs, {name: batch})
    return [array[: len(batch)] for array in session.run(outputs, {name: padded(batch)})]


def run_batch(session: Session, output: str, batch: NDArray[Any]) -> NDArray[Any]:
    """One output of a batch of any size, 1 or more."""
    return np.concatenate([run_part(session, (output,), batch[part])[0] for part in parts(len(batch))])
