"""Finds the highest rate at which something still holds."""

from collections.abc import Callable

__all__ = ["highest"]


def highest(holds: Callable[[float], bool], ceiling: float, steps: int) -> float:
    """Halve the range from 0 to `ceiling` so many times; the highest rate that held, else the lowest that was tried."""
    low, high = 0.0, ceiling
    for _ in range(steps):
        middle = (low + high) / 2
        if holds(middle):
            low = middle
        else:
            high = middle
    return low or high
