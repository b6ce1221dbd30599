"""Requests that were answered, by protocol, route and status: how many, and how long they took."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from ganport_serve.distributions import Distribution, add_histogram

__all__ = ["Answers"]

Counts = NDArray[np.int64]


class Answers(Collector):
    """Two families of one figure: a request is counted by adding its seconds.

    Args:
        bounds: of the seconds, in ascending order.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._seconds: dict[tuple[str, str, int], Distribution] = {}

    def add(self, protocol: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        key = (protocol, route, status)
        child = self._seconds.get(key)
        if child is None:
            child = self._seconds.setdefault(key, Distribution(self._bounds))
        child.observe(seconds)

    def collect(self) -> Iterable[Metric]:
        """As Prometheus asks for it; the seconds of all statuses together."""
        requests = CounterMetricFamily("ganport_requests", "Requests answered.", labels=("protocol", "route", "status"))
        seconds = HistogramMetricFamily(
            "ganport_request_seconds", "From request to answer.", labels=("protocol", "route")
        )
        counts: dict[tuple[str, str], Counts] = defaultdict(lambda: np.zeros(len(self._bounds) + 1, np.int64))
        totals: dict[tuple[str, str], float] = defaultdict(float)
        for (protocol, route, status), child in list(self._seconds.items()):
            its, total = child.read()
            requests.add_metric((protocol, route, str(status)), its[-1])
            counts[protocol, route] += np.array(its)
            totals[protocol, route] += total
        for labels, all_its in counts.items():
            add_histogram(seconds, labels, self._bounds, all_its.tolist(), totals[labels])
        yield requests
        yield seconds
