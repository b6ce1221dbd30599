"""Counts the steps of a tuning, of which more may turn up on the way."""

from collections.abc import Callable

__all__ = ["Progress", "Steps"]

Progress = Callable[[int, int, str], None]
"""Told how many steps are done, of how many, and what comes next."""


class Steps:
    """The steps of one tuning.

    Args:
        on_progress: told of every step as it begins.
        total: how many there are, as far as is known.
    """

    def __init__(self, on_progress: Progress, total: int) -> None:
        self._on_progress, self._done, self._total = on_progress, 0, total

    def add(self, count: int) -> None:
        """There are so many more."""
        self._total += count

    def begin(self, text: str) -> None:
        """The next one begins."""
        self._on_progress(self._done, self._total, text)
        self._done += 1
