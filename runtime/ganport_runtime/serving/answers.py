"""What callers of a batcher get: answers, scores, errors, reports and counts."""

import logging
from asyncio import AbstractEventLoop, CancelledError, get_running_loop
from asyncio import Future as LoopFuture
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")
log = logging.getLogger(__name__)


class QueueFullError(RuntimeError):
    """The queue is full; the request was not accepted. `retry_after`: seconds until there should be room."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class DeadlineError(TimeoutError):
    """The request would have been late. It was dropped before the engine ran it."""


@dataclass(frozen=True)
class Scores:
    """What the discriminator makes of images."""

    logits: NDArray[np.float32]  # [n]; larger is more real
    features: NDArray[np.float32]  # [n, F]


@dataclass(frozen=True)
class BatchReport:
    """One run of the engine."""

    images: int  # rows that were asked for
    bucket: int  # the batch size of the run; the rest was padding
    requests: int  # that have rows in it
    queue_seconds: tuple[float, ...]  # how long each of them waited, until the engine started
    latents_seconds: float  # to make or copy the rows
    engine_seconds: float
    failed: bool = False


@dataclass(frozen=True)
class BatcherStats:
    """Figures of a batcher since it was made."""

    queued: int = 0  # images that wait now
    running: int = 0  # images in the engine now
    images_per_second: float = 0.0  # measured while busy, over the last batches; 0 before the first
    accepted: int = 0  # requests, as the next three
    completed: int = 0
    failed: int = 0  # their batch failed
    cancelled: int = 0
    refused: Mapping[str, int] = field(
        default_factory=dict
    )  # or dropped, by reason: `queue_full`, `deadline`, `closed`
    images: int = 0  # made for callers
    batches: int = 0  # runs of the engine

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**self.__dict__, "refused": dict(self.refused)}


class Answer(Future[T], Generic[T]):
    """A `concurrent.futures.Future` that can also be awaited, by any number of tasks on any event loops.

    `cancel` succeeds while some of the images still wait; they leave the queue at once. A task that is cancelled while
    it awaits the answer cancels the request, unless other tasks await the same answer.
    """

    def __init__(self) -> None:
        super().__init__()
        self._withdraw: Callable[[], bool] | None = None
        self._tasks: list[tuple[AbstractEventLoop, Callable[[], object]]] = []
        self._is_over, self._is_cancelled = False, False  # `done` and `cancelled` without taking their lock

    def cancel(self) -> bool:
        """Leave the queue; False if the engine has all of the request already, or the answer is there."""
        withdraw = self._withdraw
        if withdraw is not None and withdraw():
            self._withdraw = None
            super().cancel()
            super().set_running_or_notify_cancel()  # wakes threads in concurrent.futures.wait
            self._is_cancelled = self._is_over = True
            _wake([self])
        return self.cancelled()

    def bind(self, withdraw: Callable[[], bool]) -> None:
        """Set the call that takes the request out of the queue and returns whether it did."""
        self._withdraw = withdraw

    def settle(self, outcome: T | BaseException) -> None:
        """Complete it; `settle` of this module then wakes the tasks that await it."""
        self._withdraw = None
        if isinstance(outcome, BaseException):
            self.set_exception(outcome)
        else:
            self.set_result(outcome)
        self._is_over = True

    def __await__(self) -> Generator[object, None, T]:
        if not self._is_over:
            yield from self._wait()
        try:
            if self._is_cancelled:
                raise CancelledError
            return self.result()
        finally:
            del self  # an error's traceback holds this frame, which would make a cycle

    def _wait(self) -> Generator[object, None, None]:
        loop = get_running_loop()
        done: LoopFuture[None] = loop.create_future()
        waiter = (loop, partial(_finish, done))
        self._tasks.append(waiter)
        try:
            # `settle` sets `_is_over` and then reads `_tasks`; we do it the other way round, so one sees the other
            if not self._is_over:
                yield from done
        except CancelledError:
            self._tasks.remove(waiter)
            if not self._tasks:
                self.cancel()
            raise


def settle(outcomes: Iterable[tuple[Answer[T], T | BaseException]]) -> None:
    """Complete answers, then wake the tasks that await them with one call for each event loop."""
    answers = []
    for answer, outcome in outcomes:
        answers.append(answer)
        try:
            answer.settle(outcome)
        except BaseException:  # raised by a callback of this caller; the other answers are not affected
            log.exception("an answer could not be handed over")
    _wake(answers)


def _wake(answers: Iterable[Answer[Any]]) -> None:
    calls: dict[AbstractEventLoop, list[Callable[[], object]]] = {}
    for answer in answers:
        for loop, call in tuple(answer._tasks):
            calls.setdefault(loop, []).append(call)
    for loop, ready in calls.items():
        with suppress(RuntimeError):  # the loop is closed, so no task waits there
            loop.call_soon_threadsafe(_call_all, ready)


def _call_all(calls: Iterable[Callable[[], object]]) -> None:
    for call in calls:
        call()


def _finish(done: "LoopFuture[None]") -> None:
    if not done.done():
        done.set_result(None)
