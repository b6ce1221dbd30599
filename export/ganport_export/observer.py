"""How an export tells what it found while it ran: one line of text at a time."""

import logging
from collections.abc import Callable

__all__ = ["Observer", "log"]

Observer = Callable[[str], None]

_logger = logging.getLogger("ganport_export")


def log(line: str) -> None:
    """The observer of callers who name none: Python's logging, which shows it on stderr where nothing is set up."""
    _logger.warning(line)
