"""How an export tells what it found while it ran, and what it is doing: one line of text at a time."""

import logging
from collections.abc import Callable

__all__ = ["Observer", "Progress", "log", "quiet"]

Observer = Callable[[str], None]
"""Told in one line of what the user should know."""

Progress = Callable[[str], None]
"""Told what is being done, as one line that replaces the one before."""

_logger = logging.getLogger("ganport_export")


def log(line: str) -> None:
    """The observer of callers who name none: Python's logging, which shows it on stderr where nothing is set up."""
    _logger.warning(line)


def quiet(line: str) -> None:
    """The progress of callers who name none."""
