"""Decides when the engine runs how many images. `calibrate` measures what a run of each bucket costs.

If half a batch reaches at least `NEARLY` (85 %) of the best throughput, a run takes at most half of the outstanding
requests. While one half is computed, the clients of the other half receive their images and ask again. Otherwise all
clients would be idle while the engine works, and the engine while they ask again.

When the engine is free and images wait, there are three choices:

1. Run all of them, padded to their bucket.
2. Run the largest bucket that they fill, and the rest after it. We take whatever finishes all waiting images first: an
   engine whose time grows with the batch runs 33 images as 32 and 1, an engine whose time is flat runs them as 64. A
   split must save `SAVING` of the time after the cost of one more run (`HANDLING`). A full bucket is never split.
3. Wait for more. Clients that wait for an answer before they ask again come back together when a run ends. So the
   arrivals within `max_delay` after the last runs, per image of the run, predict how many will arrive now, and how
   soon. We wait if everything finishes sooner together than apart, by `GAIN` at least. We never wait if nothing
   arrived after the last runs, or if it takes longer to arrive than the waiting images take to run. So a single
   client is never delayed.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganport_runtime.batches import BUCKETS, TOP
from ganport_runtime.errors import PlanError

NEARLY = 0.85  # share of the best bucket's images per second that half a batch must reach
SAVING = 0.1  # share of the time that a split must save
HANDLING = 2e-4  # seconds that every run costs besides the engine's time
GAIN = 0.03  # share of the time that waiting must save
KEPT = 5  # runs that medians are taken of
DRIFT = 0.1  # relative change of a bucket's time at which the costs are computed again
CALIBRATION_RUNS = 4  # timed runs of each bucket, at most

Run = Callable[[NDArray[Any]], list[NDArray[Any]]]


@dataclass(frozen=True)
class Costs:
    """What runs cost."""

    seconds: Mapping[int, float]  # of one run, by bucket, smallest first
    first: tuple[int, ...]  # for each number of waiting images, up to the top bucket: how many to run first
    clear: tuple[float, ...]  # for each: the seconds until all of them are done
    enough: int  # the smallest bucket that reaches `NEARLY` of the best images per second

    @classmethod
    def of(cls, seconds: Mapping[int, float]) -> "Costs":
        """Find the best first run for every number of images."""
        buckets = sorted(seconds)
        first, clear = [0], [0.0]
        for images in range(1, buckets[-1] + 1):
            position = bisect_left(buckets, images)
            run, least = images, seconds[buckets[position]]
            for bucket in reversed(buckets[:position] if images < buckets[position] else ()):
                split = seconds[bucket] + HANDLING + clear[images - bucket]
                if split < (1 - SAVING) * least:
                    run, least = bucket, split
            first.append(run)
            clear.append(least)
        rates = {bucket: bucket / (value + HANDLING) for bucket, value in seconds.items()}
        enough = min(bucket for bucket, rate in rates.items() if rate >= NEARLY * max(rates.values()))
        return cls({bucket: seconds[bucket] for bucket in buckets}, tuple(first), tuple(clear), enough)

    @property
    def top(self) -> int:
        """The largest bucket."""
        return len(self.first) - 1

    def bucket_of(self, images: int) -> int:
        """The smallest bucket that holds so many images."""
        return next(bucket for bucket in self.seconds if bucket >= images)

    def estimate(self, images: int) -> float:
        """Seconds until so many images are done; they may be more than the top bucket holds."""
        full, rest = divmod(images, self.top)
        return full * self.clear[self.top] + self.clear[rest]


class Speeds:
    """The costs, kept up to date: a bucket's time is the median of its last runs."""

    def __init__(self, seconds: Mapping[int, float]) -> None:
        self._runs = {bucket: deque([value], maxlen=KEPT) for bucket, value in seconds.items()}
        self.costs = Costs.of(seconds)

    def saw(self, bucket: int, seconds: float) -> None:
        """Record the time of a run."""
        self._runs[bucket].append(seconds)
        known, now = self.costs.seconds[bucket], median(self._runs[bucket])
        if abs(now - known) > DRIFT * known:
            self.costs = Costs.of({**self.costs.seconds, bucket: now})


@dataclass(frozen=True)
class Forecast:
    """So many images should arrive, all of them within so many seconds."""

    images: int
    seconds: float


NOTHING = Forecast(0, 0.0)


class Returns:
    """What arrives within `max_delay` of the end of a run: how much per image of the run, and how late."""

    def __init__(self, max_delay: float) -> None:
        self._window = max_delay
        self._shares: deque[float] = deque(maxlen=KEPT)
        self._delays: deque[float] = deque(maxlen=KEPT)
        self._made, self._ended = 0, float("-inf")
        self._came, self._last = 0, 0.0
        self.away = 0

    def ran(self, images: int, now: float) -> None:
        """Record the end of a run."""
        if self._made:
            self._shares.append(self._came / self._made)
            if self._came:
                self._delays.append(self._last - self._ended)
        self._made, self._ended, self._came = images, now, 0
        self.away = images

    def came(self, images: int, now: float) -> None:
        """Record a request."""
        self.away = max(0, self.away - images)
        if now - self._ended <= self._window:
            self._came += images
            self._last = now

    def forecast(self, now: float) -> Forecast:
        """What should still arrive."""
        if not self._shares or not self._delays:
            return NOTHING
        images = round(self._made * median(self._shares)) - self._came
        seconds = self._ended + max(self._delays) - now
        return Forecast(images, seconds) if images > 0 and seconds > 0 else NOTHING


@dataclass(frozen=True)
class Decision:
    """Run `images` now. If 0: wait until `wanted` images wait, or for `seconds`, then decide again."""

    images: int
    wanted: int = 0
    seconds: float = 0.0


def decide(costs: Costs, waiting: int, forecast: Forecast, patience: float, away: int = 0) -> Decision:
    """Decide between running and waiting, as this module's docstring says.

    `patience`: seconds that may still be spent on waiting. `away`: images of the last run whose clients have not asked
    again yet.
    """
    most = min(costs.top, max(costs.enough, -(-(waiting + away) // 2)))
    now = costs.first[min(waiting, most)]
    more = min(forecast.images, most - waiting)
    if more <= 0:
        return Decision(now)
    alone, fill = costs.seconds[costs.bucket_of(now)], forecast.seconds * more / forecast.images
    together = fill + costs.clear[waiting + more]
    apart = max(alone, fill) + costs.clear[waiting + more - now]
    if fill > patience or together > (1 - GAIN) * apart:
        return Decision(now)
    return Decision(0, waiting + more, forecast.seconds)


def calibrate(run: Run, rows: NDArray[Any]) -> tuple[dict[int, float], str]:
    """Warm and measure every bucket with the same `TOP` rows.

    An image must not depend on its batch. A bucket that makes other bytes than the top bucket (another plan serves it,
    or the engine adds up in another order) is not used; batches of its size are padded to the next one.

    Returns the seconds of a run of each bucket that is used, and a note on those that are not. PlanError where the top
    bucket cannot run.
    """
    wanted, seconds = _timed(run, rows, TOP)
    used, left_out = {TOP: seconds}, []
    for bucket in reversed(BUCKETS[:-1]):
        try:
            found, seconds = _timed(run, rows, bucket)
        except PlanError as error:
            left_out.append(f"bucket {bucket}, because it fails ({error})")
            continue
        if _are_equal(found, wanted):
            used[bucket] = seconds
        else:
            left_out.append(f"bucket {bucket}, because its outputs differ from those of bucket {TOP} for the same rows")
    return dict(sorted(used.items())), f"not used: {'; '.join(left_out)}" if left_out else ""


def _timed(run: Run, rows: NDArray[Any], bucket: int) -> tuple[list[NDArray[Any]], float]:
    """The outputs of the first rows, bucket by bucket, and the seconds of a run; the first run only warms."""
    run(rows[:bucket])
    made, seconds = [], []
    for index in range(max(2, min(CALIBRATION_RUNS, TOP // bucket))):
        start = index * bucket % TOP
        began = monotonic()
        made.append(run(rows[start : start + bucket]))
        seconds.append(monotonic() - began)
    return [np.concatenate(arrays) for arrays in zip(*made, strict=True)], median(seconds)


def _are_equal(found: Sequence[NDArray[Any]], wanted: Sequence[NDArray[Any]]) -> bool:
    """Whether the rows that both have are the same bytes; one of them may have fewer."""
    return all(np.array_equal(one[: len(other)], other[: len(one)]) for one, other in zip(found, wanted, strict=True))
