"""A few threads that encode and decode images beside the event loop, with a bound on what they hold."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from ganport_runtime.serving import QueueFullError

__all__ = ["HELD", "Workers"]

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 2  # Pillow and zlib let go of the interpreter; more threads would only slow the engine down
HELD = 2**28  # bytes of pixels that requests hold at one time, 1/4 GiB
RETRY_AFTER = 1.0  # seconds; encoding a full share takes less


class Workers:
    """Threads of one server, and the pixels that its requests hold."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="ganport-images")
        self._held = 0

    @contextmanager
    def holding(self, size: int) -> Iterator[None]:
        """Count `size` bytes of pixels as held while the request goes on.

        Raises:
            QueueFullError: others hold too much for it now.
        """
        if self._held + size > HELD:
            raise QueueFullError(
                f"other requests hold {self._held / 2**20:.0f} MiB of pixels, this one wants {size / 2**20:.1f}, and "
                f"{HELD / 2**20:.0f} MiB are allowed at once; ask again soon",
                retry_after=RETRY_AFTER,
            )
        self._held += size
        try:
            yield
        finally:
            self._held -= size

    async def run(self, function: Callable[P, T], *args: P.args, **keywords: P.kwargs) -> T:
        """Call a function in one of the threads; they take calls in the order in which they come."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: function(*args, **keywords))
