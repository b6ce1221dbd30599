"""Decides when the engine runs how many images, from measured seconds and from what came back after earlier runs.

Where a smaller run makes nearly as many images a second as the best, a run takes no more than half of what waits and
may come back. Clients that wait for their answers would otherwise all be idle while the engine works, and it while they
ask again: two groups in turn keep both busy, and everybody waits for less.

When the engine is free and images wait, there are three choices.

1. To run all of them, padded to their bucket.
2. To run the largest bucket that they fill, and the rest after it. What clears all that waits soonest is taken: an
   engine whose time grows with the batch runs 33 images as 32 and 1, one whose time is flat runs them as 64. A split
   must save `SAVING` of the time, after `HANDLING` of the further run, and a full bucket is never split.
3. To wait for more. Clients that wait for an answer before they ask again come back all at once when a run ends, so
   what came within `max_delay` of the ends of the last runs, for each image that they made, and how long it took to
   come, is what should come now. Waiting for it pays where all of it is done sooner together than apart: what is
   there at once, the others after it. Where nothing came back, or where it takes longer to come than what is there
   takes to run, nobody waits; neither on an engine that has been idle for longer than that.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

__all__ = ["NOTHING", "Costs", "Expected", "Returns", "Speeds", "Step", "next_step"]

NEARLY = 0.85  # of the best bucket's images a second: what a run of half the clients must reach
SAVING = 0.1  # of the time, without which a batch is not split
HANDLING = 2e-4  # seconds that every further run costs beside the engine's
GAIN = 0.03  # of the time, without which nobody waits
KEPT = 5  # runs: of a bucket, the median of which is its time; of any, what came back after them
DRIFT = 0.1  # change of a bucket's time after which the costs are reckoned anew


@dataclass(frozen=True)
class Costs:
    """What runs cost.

    Attributes:
        seconds: of one run, by bucket, smallest bucket first.
        first: for each number of images that wait, up to the top bucket, how many to run at once.
        clear: for each number, the seconds in which all of them are done.
        enough: the smallest bucket that makes nearly as many images a second as the best.
    """

    seconds: Mapping[int, float]
    first: tuple[int, ...]
    clear: tuple[float, ...]
    enough: int

    @classmethod
    def of(cls, seconds: Mapping[int, float]) -> "Costs":
        """Reckon the best first run for every number of images."""
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
        return cls({bucket: seconds[bucket] for bucket in buckets}, tuple(first), tuple(clear), _enough(seconds))

    @property
    def top(self) -> int:
        """The largest bucket."""
        return len(self.first) - 1

    def bucket_of(self, images: int) -> int:
        """The smallest bucket that holds so many images."""
        return next(bucket for bucket in self.seconds if bucket >= images)

    def estimate(self, images: int) -> float:
        """Seconds in which so many images are done, of which there may be more than fit the top bucket."""
        full, rest = divmod(images, self.top)
        return full * self.clear[self.top] + self.clear[rest]


class Speeds:
    """The seconds of each bucket: the median of its last runs."""

    def __init__(self, seconds: Mapping[int, float]) -> None:
        self._runs = {bucket: [value] for bucket, value in seconds.items()}
        self.costs = Costs.of(seconds)

    def saw(self, bucket: int, seconds: float) -> None:
        """Take note of a run."""
        runs = self._runs[bucket]
        runs.append(seconds)
        del runs[:-KEPT]
        known, now = self.costs.seconds[bucket], median(runs)
        if abs(now - known) > DRIFT * known:
            self.costs = Costs.of({**self.costs.seconds, bucket: now})


def _enough(seconds: Mapping[int, float]) -> int:
    """The smallest bucket that makes nearly as many images a second as the best."""
    rates = {bucket: bucket / (value + HANDLING) for bucket, value in seconds.items()}
    return min(bucket for bucket, rate in rates.items() if rate >= NEARLY * max(rates.values()))


class Returns:
    """What comes within `max_delay` of the end of a run: how much for each image that it made, and how late."""

    def __init__(self, max_delay: float) -> None:
        self._window = max_delay
        self._shares: deque[float] = deque(maxlen=KEPT)
        self._delays: deque[float] = deque(maxlen=KEPT)
        self._made, self._ended = 0, float("-inf")
        self._came, self._last = 0, 0.0
        self.away = 0  # images of the last run in place of which none has come yet

    def ran(self, images: int, now: float) -> None:
        """Take note of the end of a run."""
        if self._made:
            self._shares.append(self._came / self._made)
            if self._came:
                self._delays.append(self._last - self._ended)
        self._made, self._ended, self._came = images, now, 0
        self.away = images

    def came(self, images: int, now: float) -> None:
        """Take note of a request."""
        self.away = max(0, self.away - images)
        if now - self._ended <= self._window:
            self._came += images
            self._last = now

    def expected(self, now: float) -> "Expected":
        """What should still come."""
        if not self._shares or not self._delays:
            return NOTHING
        images = round(self._made * median(self._shares)) - self._came
        seconds = self._ended + max(self._delays) - now
        return Expected(images, seconds) if images > 0 and seconds > 0 else NOTHING


@dataclass(frozen=True)
class Expected:
    """What should come: so many images, all of them within so many seconds."""

    images: int
    seconds: float


NOTHING = Expected(0, 0.0)


@dataclass(frozen=True)
class Step:
    """What to do next.

    Attributes:
        images: to be run now; 0: wait.
        wanted: images until which to wait.
        seconds: after which to decide anew in any case.
    """

    images: int
    wanted: int = 0
    seconds: float = 0.0


def next_step(costs: Costs, waiting: int, expected: Expected, patience: float, away: int = 0) -> Step:
    """Decide between running and waiting, as the module's text says.

    Args:
        costs: what runs cost.
        waiting: images that wait, 1 or more.
        expected: what should come.
        patience: seconds that may still be waited.
        away: images of the last run in place of which none has come yet.
    """
    most = min(costs.top, max(costs.enough, -(-(waiting + away) // 2)))
    now = costs.first[min(waiting, most)]
    more = min(expected.images, most - waiting)
    if more <= 0:
        return Step(now)
    alone, fill = costs.seconds[costs.bucket_of(now)], expected.seconds * more / expected.images
    together = fill + costs.clear[waiting + more]
    apart = max(alone, fill) + costs.clear[waiting + more - now]
    if fill > patience or together > (1 - GAIN) * apart:
        return Step(now)
    return Step(0, waiting + more, expected.seconds)
