"""What every route works with: the engine, settings, metrics, the drain state, and one bound on memory."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ParamSpec, TypeVar

from ganport_serve.engine import Engine
from ganport_serve.metrics import Metrics
from ganport_serve.refusals import refuse
from ganport_serve.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")
THREADS = 2  # that encode and decode: Pillow and zlib release the interpreter, but more threads slow the engine down
# Bytes that each request may hold without asking. Their sum is bounded by the number of connections, so that
# small requests are served even while large ones use up the whole budget.
SMALL = 32 * 2**10


class ByteBudget:
    """Bytes that all requests of HTTP and gRPC may hold together: bodies, what they inflate to, pixels, answers.

    Bytes are charged as they arrive, not as they are announced: otherwise a few clients that send nothing could
    hold everything. Used on one event loop.

    Args:
        size: bytes that may be held at one time.
    """

    def __init__(self, size: int) -> None:
        self.size, self.held = size, 0

    def hold(self) -> "Hold":
        """The share of one request; holds nothing yet."""
        return Hold(self)


class Hold:
    """What one request holds of a budget; the first `SMALL` bytes are not charged."""

    __slots__ = ("_budget", "_bytes")

    def __init__(self, budget: ByteBudget) -> None:
        self._budget, self._bytes = budget, 0

    def take(self, size: int) -> None:
        """Hold so many more bytes; a negative number gives some back.

        Raises:
            ProblemError: 503, other requests hold too much.
        """
        budget = self._budget
        total = self._bytes + size
        if total <= SMALL >= self._bytes:
            self._bytes = total
            return
        more = max(0, total - SMALL) - max(0, self._bytes - SMALL)
        if more > 0 and budget.held + more > budget.size:
            detail = f"all requests together hold {budget.held} bytes of {budget.size}; ask again soon"
            raise refuse("no_memory", detail, retry_after=1.0)
        budget.held += more
        self._bytes = total

    def release(self) -> None:
        """Give everything back."""
        self.take(-self._bytes)


class Lifecycle:
    """Whether a server takes requests, how many it has not answered yet, and when it is to stop; on one event loop.

    Attributes:
        is_draining: whether it only answers what it has accepted.
        active: requests that are accepted and not yet answered, of HTTP and gRPC.
    """

    def __init__(self) -> None:
        self.is_draining = False
        self.active = 0
        self._stopped, self._idle = asyncio.Event(), asyncio.Event()

    def enter(self) -> None:
        """Accept a request."""
        self.active += 1

    def leave(self) -> None:
        """A request is answered, or its client is gone."""
        self.active -= 1
        if self.is_draining and self.active == 0:
            self._idle.set()

    def stop(self, *, force: bool = False) -> None:
        """Accept nothing more. With `force`, a second call does not wait for accepted requests either."""
        if self.active == 0 or (force and self.is_draining):
            self._idle.set()
        self.is_draining = True
        self._stopped.set()

    async def stopped(self) -> None:
        """Wait until it is to stop."""
        await self._stopped.wait()

    async def drained(self, seconds: float) -> int:
        """Wait until all is answered, at most so long; returns how many requests are not."""
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            pass
        return self.active


@dataclass(frozen=True)
class Service:
    """The parts of one running server.

    Attributes:
        engine: makes the images.
        settings: how it serves.
        metrics: what it counts.
        lifecycle: whether it takes requests.
        budget: what all requests may hold.
        tasks: background work of the server itself, cancelled at its end.
    """

    engine: Engine
    settings: Settings
    metrics: Metrics
    lifecycle: Lifecycle
    budget: ByteBudget
    tasks: set[asyncio.Task[Any]] = field(default_factory=set, init=False, repr=False, compare=False)
    _threads: asyncio.Semaphore = field(default_factory=partial(asyncio.Semaphore, THREADS), init=False, repr=False)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock, init=False, repr=False)

    @classmethod
    def of(cls, engine: Engine, settings: Settings, metrics: Metrics) -> "Service":
        """A service with nothing under way."""
        size = max(settings.max_bodies, settings.max_body)
        return cls(engine, settings, metrics, Lifecycle(), ByteBudget(size))

    def keep(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run background work, which logs its own outcome."""

        def end(task: asyncio.Task[T]) -> None:
            self.tasks.discard(task)
            if not task.cancelled():
                task.exception()  # mark it as retrieved

        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(end)
        return task

    async def in_thread(self, function: Callable[P, T], *args: P.args, **keywords: P.kwargs) -> T:
        """Call a function that takes long and releases the interpreter, such as an encoder, in a thread.

        A thread cannot be cancelled. So a caller that is cancelled ends with it, and holds its memory so long.
        """
        async with self._threads:
            work = asyncio.ensure_future(asyncio.to_thread(function, *args, **keywords))
            try:
                return await asyncio.shield(work)
            except asyncio.CancelledError:
                while not work.done():
                    with suppress(asyncio.CancelledError):
                        await asyncio.wait((work,))
                work.exception()  # mark it as retrieved
                raise

    async def in_turn(self, size: int, function: Callable[[], T]) -> T:
        """Call a function that holds the interpreter, such as a parser of so many bytes.

        Large ones are called one at a time, and the event loop answers others in between.
        """
        if size <= SMALL:
            return function()
        async with self._turn:
            await asyncio.sleep(0)
            return function()
