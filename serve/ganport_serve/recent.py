"""What happened in the last seconds, in constant memory: images made, and percentiles of latency within 1 %."""

import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

__all__ = ["LATENCY_SECONDS", "Recent"]

RATE_SECONDS = 5
LATENCY_SECONDS = 30
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
        self._lock = Lock()

    def images(self, count: int) -> None:
        """Note that so many images were made."""
        with self._lock:
            self._now().images += count

    def latency(self, seconds: float) -> None:
        """Note how long one request took."""
        index = math.floor(math.log(max(seconds, 1e-6)) * BINS_OF_E)
        with self._lock:
            self._now().latencies[index] += 1

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
            for slot in self._slots:
                if now - LATENCY_SECONDS <= slot.number:
                    merged.update(slot.latencies)
        return merged

    def _now(self) -> _Second:
        number = int(self._clock())
        slot = self._slots[number % len(self._slots)]
        if slot.number != number:
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
