"""Moved to `records`."""

from ganport_bench.records import CACHE, own_cache

__all__ = ["CACHE", "own_cache"]
