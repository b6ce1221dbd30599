"""What becomes of a request: `Answer`, a future for threads and event loops, and `Call`, a callback on one loop."""

import logging
from asyncio import AbstractEventLoop, CancelledError, get_running_loop
from asyncio import Future as Waiter
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

__all__ = ["Answer", "Call", "Outlet", "settle", "wake"]

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)
Listener = tuple[AbstractEventLoop, Callable[[], object]]
log = logging.getLogger(__name__)


class Outlet(Protocol[T_contra]):
    """Where the outcome of a request goes."""

    @property
    def is_brief(self) -> bool:
        """Whether the result is done with as soon as it was given, so that it may share its memory with others."""

    @property
    def listeners(self) -> Sequence[Listener]:
        """What to call on which event loop once it is settled."""

    def bind(self, withdraw: Callable[[], bool]) -> None:
        """Say how to leave the queue: a call that tells whether it left."""

    def settle(self, outcome: T_contra | BaseException) -> None:
        """Complete it, and let go of the queue."""


class Call(Generic[T]):
    """A request of one event loop without a future: a callback gets its outcome.

    It has no lock and no waiter of its own, for servers that answer thousands a second. Used on its loop alone but for
    `settle`.

    Args:
        callback: called on the event loop that runs now, with the result or the error; never once it was cancelled.
        is_brief: whether the callback is done with the result when it returns, which may then be a view of a batch.
    """

    __slots__ = ("_callback", "_outcome", "_withdraw", "is_brief", "listeners")

    def __init__(self, callback: Callable[[T | BaseException], object], *, is_brief: bool = False) -> None:
        self._callback: Callable[[T | BaseException], object] | None = callback
        self.is_brief = is_brief
        self._outcome: T | BaseException | None = None
        self._withdraw: Callable[[], bool] | None = None
        self.listeners: Sequence[Listener] = ((get_running_loop(), self._tell),)

    def cancel(self) -> None:
        """Leave the queue where it still waits there; its callback is not called any more."""
        withdraw, self._withdraw, self._callback = self._withdraw, None, None
        if withdraw is not None:
            withdraw()

    def bind(self, withdraw: Callable[[], bool]) -> None:
        """Say how to leave the queue: a call that tells whether it left."""
        self._withdraw = withdraw

    def settle(self, outcome: T | BaseException) -> None:
        """Keep the outcome for the loop, and let go of the queue."""
        self._withdraw, self._outcome = None, outcome

    def _tell(self) -> None:
        callback, outcome = self._callback, self._outcome
        self._callback = self._outcome = None
        if callback is not None and outcome is not None:
            callback(outcome)


class Answer(Future[T], Generic[T]):
    """A `concurrent.futures.Future` that can also be awaited, by any number of tasks on any event loops.

    `cancel` succeeds while some of its images still wait; they leave the queue at once. A task that is cancelled while
    it awaits the answer cancels it, unless other tasks await it too.
    """

    is_brief = False

    def __init__(self) -> None:
        super().__init__()
        self._withdraw: Callable[[], bool] | None = None
        self.listeners: list[Listener] = []
        self._is_over, self._is_cancelled = False, False  # as `done` and `cancelled` say, without their lock

    def cancel(self) -> bool:
        """Leave the queue; False where the engine has all of it already or the answer is there."""
        withdraw = self._withdraw
        if withdraw is not None and withdraw():
            self._withdraw = None
            super().cancel()
            super().set_running_or_notify_cancel()  # for those who wait by concurrent.futures.wait
            self._is_cancelled = self._is_over = True
            wake([self])
        return self.cancelled()

    def bind(self, withdraw: Callable[[], bool]) -> None:
        """Say how to leave the queue: a call that tells whether it left."""
        self._withdraw = withdraw

    def settle(self, outcome: T | BaseException) -> None:
        """Complete it, and let go of the queue."""
        self._withdraw = None
        if isinstance(outcome, BaseException):
            self.set_exception(outcome)
        else:
            self.set_result(outcome)
        self._is_over = True

    def __await__(self) -> Generator[object, None, T]:
        if not self._is_over:
            yield from self._wait()
        if self._is_cancelled:
            raise CancelledError
        return self.result()

    def _wait(self) -> Generator[object, None, None]:
        loop = get_running_loop()
        waiter: Waiter[None] = loop.create_future()
        listener = (loop, partial(_release, waiter))
        self.listeners.append(listener)
        try:
            # Whoever completes it says that it is over, then looks at the listeners: one of both sees the other.
            if not self._is_over:
                yield from waiter
        except CancelledError:
            self.listeners.remove(listener)
            if not self.listeners:
                self.cancel()
            raise


def settle(outcomes: Iterable[tuple[Outlet[T], T | BaseException]]) -> None:
    """Complete requests, then tell those who wait on event loops: once for each loop."""
    outlets = []
    for outlet, outcome in outcomes:
        outlets.append(outlet)
        try:
            outlet.settle(outcome)
        except BaseException:  # of a callback of its caller's; the others' answers are as good as ever
            log.exception("an answer could not be handed over")
    wake(outlets)


def wake(outlets: Iterable[Outlet[Any]]) -> None:
    """Tell those who wait for these on event loops."""
    calls: dict[AbstractEventLoop, list[Callable[[], object]]] = {}
    for outlet in outlets:
        for loop, call in tuple(outlet.listeners):
            calls.setdefault(loop, []).append(call)
    for loop, its in calls.items():
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_run_all, its)


def _run_all(calls: Iterable[Callable[[], object]]) -> None:
    for call in calls:
        try:
            call()
        except Exception:  # of one caller; the others' answers are as good as ever
            log.exception("a callback that was given an answer failed")


def _release(waiter: "Waiter[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
