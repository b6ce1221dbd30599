"""What happened in the last seconds, in constant memory: images made, and percentiles of latency within 1 %."""

import math
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

__all__ = ["LATENCY_SECONDS", "Recent"]

RATE_SECONDS = 5
LATENCY_SECONDS = 30
MOST = 512  # latencies that wait to be counted
BINS_OF_E = 50.0  # bins of latency are 2 % wide, so that their middle is within 1 %


@dataclass
class _Second:
    number: int = -1
    images: int = 0
    latencies: Counter[int] = field(default_factory=Counter)


class Recent:
    """One slot for each second of the last half minute; written from any thread.

    Args:
        clock: seconds since whenever.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun = clock()
        self._slots = [_Second() for _ in range(LATENCY_SECONDS + 1)]
        self._fresh: deque[tuple[float, float]] = deque()  # when, and how long
        self._lock = Lock()

    def images(self, count: int) -> None:
        """Note that so many images were made."""
        with self._lock:
            self._slot(int(self._clock())).images += count

    def latency(self, seconds: float) -> None:
        """Note how long one request took."""
        self._fresh.append((self._clock(), seconds))  # and counted later: it comes with every request
        if len(self._fresh) >= MOST:
            with self._lock:
                self._count()

    def images_per_second(self) -> float:
        """Images of the last five whole seconds, or of as many as there were yet, by second."""
        now = int(self._clock())
        seconds = min(RATE_SECONDS, max(1, now - int(self._begun)))
        with self._lock:
            images = sum(slot.images for slot in self._slots if now - seconds <= slot.number < now)
        return images / seconds

    def percentiles(self, *shares: float) -> list[float] | None:
        """Latencies in seconds below which these shares of the last 30 s lie; None where nothing was asked."""
        merged = self._merged()
        total = sum(merged.values())
        return [_below(merged, share * total) for share in shares] if total else None

    def _merged(self) -> Counter[int]:
        now = int(self._clock())
        merged: Counter[int] = Counter()
        with self._lock:
            self._count()
            for slot in self._slots:
                if now - LATENCY_SECONDS <= slot.number:
                    merged.update(slot.latencies)
        return merged

    def _count(self) -> None:
        for _ in range(len(self._fresh)):  # others add at the other end meanwhile
            when, seconds = self._fresh.popleft()
            slot = self._slot(int(when))
            if slot.number == int(when):
                slot.latencies[math.floor(math.log(max(seconds, 1e-6)) * BINS_OF_E)] += 1

    def _slot(self, number: int) -> _Second:
        """The slot of a second; a later one where that second is long over."""
        slot = self._slots[number % len(self._slots)]
        if slot.number < number:
            slot.number, slot.images = number, 0
            slot.latencies.clear()
        return slot


def _below(latencies: Counter[int], rank: float) -> float:
    """The middle of the bin in which the value of this rank lies."""
    so_far = 0
    for index in sorted(latencies):
        so_far += latencies[index]
        if so_far >= rank:
            break
    return math.exp((index + 0.5) / BINS_OF_E)
