"""Slow work in a thread that nobody has to wait for: where its caller is cancelled, what it makes is let go of."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import TypeVar

__all__ = ["in_background", "is_left_behind"]

T = TypeVar("T")
NAME = "ganport-background"


async def in_background(work: Callable[[], T], let_go: Callable[[T], object]) -> T:
    """What the work returns or raises.

    Args:
        work: what is done; loading a network cannot be interrupted.
        let_go: called with what it has returned when nobody waits for it any more.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            made = work()
        except BaseException as error:
            with suppress(InvalidStateError):
                future.set_exception(error)
            return
        try:
            future.set_result(made)
        except InvalidStateError:
            let_go(made)

    threading.Thread(target=run, name=NAME, daemon=True).start()
    try:
        return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        if not future.cancel() and future.exception() is None:  # it was done just before
            let_go(future.result())
        raise


def is_left_behind() -> bool:
    """Whether such work is under way in this process, which cannot end in the usual way without waiting for it."""
    return any(thread.name == NAME for thread in threading.enumerate())
