"""What `submit` gives: a future for threads that can be awaited on any event loop as well."""

from asyncio import AbstractEventLoop, CancelledError, get_running_loop
from asyncio import Future as Waiter
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from contextlib import suppress
from typing import Generic, TypeVar

__all__ = ["Answer", "settle", "wake"]

T = TypeVar("T")
Awaiter = tuple[AbstractEventLoop, "Waiter[None]"]


class Answer(Future[T], Generic[T]):
    """A `concurrent.futures.Future` that can also be awaited, by any number of tasks on any event loops.

    `cancel` succeeds while some of its images still wait; they leave the queue at once. A task that is cancelled while
    it awaits the answer cancels it, unless other tasks await it too.
    """

    def __init__(self) -> None:
        super().__init__()
        self._withdraw: Callable[[], bool] | None = None
        self._awaiters: list[Awaiter] = []
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
        awaiter = (loop, waiter)
        self._awaiters.append(awaiter)
        try:
            # Whoever completes it says that it is over, then looks at the awaiters: one of both sees the other.
            if not self._is_over:
                yield from waiter
        except CancelledError:
            self._awaiters.remove(awaiter)
            if not self._awaiters:
                self.cancel()
            raise


def settle(outcomes: Iterable[tuple[Answer[T], T | BaseException]]) -> None:
    """Complete answers, then wake the tasks that await them: once for each event loop."""
    answers = []
    for answer, outcome in outcomes:
        answer.settle(outcome)
        answers.append(answer)
    wake(answers)


def wake(answers: Iterable[Answer[T]]) -> None:
    """Wake the tasks that await these answers."""
    waiters: dict[AbstractEventLoop, list[Waiter[None]]] = {}
    for answer in answers:
        for loop, waiter in tuple(answer._awaiters):
            waiters.setdefault(loop, []).append(waiter)
    for loop, its in waiters.items():
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_wake, its)


def _wake(waiters: Iterable["Waiter[None]"]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)
