"""Moved to `timing`."""

from ganport_bench.timing import BEYOND, PERCENTILES, Latency, latency_of, least_samples

__all__ = ["BEYOND", "PERCENTILES", "Latency", "latency_of", "least_samples"]
