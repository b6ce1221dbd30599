"""Moved to `records`."""

from ganport_bench.records import tuned_copy as remember

__all__ = ["remember"]
