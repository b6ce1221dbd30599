"""Signals that come while a server is still being imported: before its event loop, and not to be lost."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["early_signals"]


@contextmanager
def early_signals() -> Iterator[Callable[[], bool]]:
    """Remember SIGTERM and pass over SIGHUP until an event loop takes both; put back what was there at the end.

    Yields:
        Says whether SIGTERM has come; never where this is not the main thread, which alone hears of signals.
    """
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    # a function that does nothing, not SIG_IGN: that one would be left to every process started from here
    before = {
        signal.SIGHUP: signal.signal(signal.SIGHUP, lambda *_: None),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda number, _: came.append(number)),
    }
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
