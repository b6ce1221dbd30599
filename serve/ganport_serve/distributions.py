"""Histograms for Prometheus to which values are added as they come, and counted many at a time or when somebody looks.

The library's own take a lock and some Python for each value, which comes with every request, several times.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from threading import Lock

import numpy as np
from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

__all__ = ["Distribution", "Distributions", "add_histogram"]

MOST = 1024  # values that wait to be counted


class Distribution:
    """How many values lie at or below each bound; added to from any thread.

    Args:
        bounds: in ascending order.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = np.array(bounds, np.float64)
        self._counts = np.zeros(len(bounds) + 1, np.int64)
        self._sum = 0.0
        self._fresh: deque[float] = deque()
        self._lock = Lock()

    def observe(self, value: float) -> None:
        """Add a value."""
        self._fresh.append(value)
        if len(self._fresh) >= MOST:
            self._count()

    def observe_all(self, values: Iterable[float]) -> None:
        """Add values."""
        self._fresh.extend(values)
        if len(self._fresh) >= MOST:
            self._count()

    def read(self) -> tuple[list[int], float]:
        """How many values lie at or below each bound, and how many there are at all; their sum."""
        self._count()
        with self._lock:
            counts: list[int] = np.cumsum(self._counts).tolist()
            return counts, self._sum

    def _count(self) -> None:
        with self._lock:
            # one by one, for others add at the other end meanwhile
            values = np.array([self._fresh.popleft() for _ in range(len(self._fresh))], np.float64)
            if len(values):
                places = np.searchsorted(self._bounds, values)
                self._counts += np.bincount(places, minlength=len(self._counts))
                self._sum += float(values.sum())


class Distributions(Collector):
    """One histogram by labels.

    Args:
        name: as Prometheus has it.
        documentation: one sentence.
        bounds: in ascending order.
        labels: names.
    """

    def __init__(self, name: str, documentation: str, bounds: Sequence[float], labels: Sequence[str]) -> None:
        self._name, self._documentation = name, documentation
        self._bounds, self._labels = tuple(bounds), tuple(labels)
        self._children: dict[tuple[str, ...], Distribution] = {}

    def labels(self, *values: str) -> Distribution:
        """The distribution of these labels, made where it is new."""
        child = self._children.get(values)
        # of two threads that make it at once both get the same
        return child or self._children.setdefault(values, Distribution(self._bounds))

    def collect(self) -> Iterable[Metric]:
        """As Prometheus asks for it."""
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        for values, child in list(self._children.items()):
            add_histogram(family, values, self._bounds, *child.read())
        yield family


def add_histogram(
    family: HistogramMetricFamily, labels: Sequence[str], bounds: Sequence[float], counts: Iterable[int], total: float
) -> None:
    """Add a histogram, as `Distribution.read` gives it, to Prometheus' family."""
    names = [*(str(float(bound)) for bound in bounds), "+Inf"]
    family.add_metric(labels, list(zip(names, counts, strict=True)), total)
