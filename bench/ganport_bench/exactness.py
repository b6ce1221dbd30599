"""Moved to `figures`."""

from ganport_bench.figures import EXACT_DB

__all__ = ["EXACT_DB"]
