"""Warms every bucket of a network, measures it, and leaves out those whose outputs differ from the top bucket's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganport_runtime.buckets import BUCKETS, TOP
from ganport_runtime.errors import PlanError
from ganport_runtime.serving.work import Work

__all__ = ["calibrate"]

RUNS = 4  # of each bucket that are timed, at most


@dataclass(frozen=True)
class Calibration:
    """What the engine was seen to do.

    Attributes:
        seconds: of one run, by bucket, of the buckets that are used.
        note: which buckets are not, and why; empty where all are.
    """

    seconds: Mapping[int, float]
    note: str


def calibrate(work: Work[Any]) -> Calibration:
    """Run the same rows through every bucket.

    What a batch makes of a row must not depend on the batch: a bucket of which that is not so, be it that another plan
    serves it or that the engine adds up in another order, is left out, and batches of its size are padded further.

    Raises:
        PlanError: the top bucket cannot run.
        ClosedError: the network is closed.
    """
    rows = work.sample(TOP)
    wanted, seconds = _timed(work, rows, TOP)
    used, left_out = {TOP: seconds}, []
    for bucket in reversed(BUCKETS[:-1]):
        try:
            found, seconds = _timed(work, rows, bucket)
        except PlanError as error:
            left_out.append(f"bucket {bucket}, for it fails ({error})")
            continue
        if _are_first(found, wanted):
            used[bucket] = seconds
        else:
            left_out.append(f"bucket {bucket}, for what it makes differs from what bucket {TOP} makes of the same rows")
    return Calibration(dict(sorted(used.items())), f"not used: {'; '.join(left_out)}" if left_out else "")


def _timed(work: Work[Any], rows: NDArray[Any], bucket: int) -> tuple[list[NDArray[Any]], float]:
    """The outputs of the first rows, bucket by bucket, and the seconds of a run; the first of all only warms."""
    work.run(rows[:bucket])
    made, seconds = [], []
    for index in range(max(2, min(RUNS, TOP // bucket))):
        start = index * bucket % TOP
        began = monotonic()
        made.append(work.run(rows[start : start + bucket]))
        seconds.append(monotonic() - began)
    return [np.concatenate(arrays) for arrays in zip(*made, strict=True)], median(seconds)


def _are_first(found: Sequence[NDArray[Any]], wanted: Sequence[NDArray[Any]]) -> bool:
    return all(np.array_equal(one[: len(other)], other[: len(one)]) for one, other in zip(found, wanted, strict=True))
