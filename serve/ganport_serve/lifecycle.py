"""Whether a server takes requests, how many it has taken and not yet answered, and when it is to end."""

import asyncio

__all__ = ["DRAINING", "Lifecycle"]

DRAINING = "the server is stopping; ask another one"


class Lifecycle:
    """Lives on one event loop.

    Attributes:
        is_draining: whether it answers what it has accepted, and refuses all else.
        active: requests that are accepted and not yet answered, of HTTP and of gRPC; of its streams, each request.
    """

    def __init__(self) -> None:
        self.is_draining = False
        self.active = 0
        self._stopped, self._waited_enough = asyncio.Event(), asyncio.Event()

    def enter(self) -> None:
        """Accept a request."""
        self.active += 1

    def leave(self) -> None:
        """A request is answered, or its client is gone."""
        self.active -= 1
        if self.is_draining and self.active == 0:
            self._waited_enough.set()

    def stop(self) -> None:
        """Refuse what comes from now on."""
        if self.active == 0:
            self._waited_enough.set()
        self.is_draining = True
        self._stopped.set()

    def hurry(self) -> None:
        """Refuse what comes from now on; when told a second time, do not wait for what was accepted either."""
        if self.is_draining:
            self._waited_enough.set()
        self.stop()

    async def stopped(self) -> None:
        """Wait until somebody wants it to end."""
        await self._stopped.wait()

    async def drained(self, seconds: float) -> int:
        """Wait so long for what was accepted, and return how many requests are still not answered."""
        try:
            async with asyncio.timeout(seconds):
                await self._waited_enough.wait()
        except TimeoutError:
            pass
        return self.active
