"""Requests that wait, and the fair order in which parts of them are taken."""

from collections import OrderedDict
from collections.abc import Iterator
from math import inf
from typing import Any, Generic, TypeVar

from numpy.typing import NDArray

from ganport_runtime.buckets import TOP
from ganport_runtime.serving.answer import Outlet

__all__ = ["Part", "Queue", "Request", "Source"]

T = TypeVar("T")
Source = tuple[int, int] | NDArray[Any]
"""Where rows come from: the seed and the first image of latents, or the rows themselves."""


class Request(Generic[T]):
    """What one caller asked for.

    Attributes:
        outlet: where its outcome goes.
        source: of its rows.
        count: rows in all.
        submitted: when, on the monotonic clock.
        deadline: when it is late, on the same clock; infinity where that is no matter.
        is_urgent: it found the engine free: it runs whatever estimates say, which it thereby renews.
        queued: rows that wait in the queue.
        staged: rows that wait in the next batch.
        turn: rows taken since it was last at the queue's head.
        done: rows that came out of the engine.
        results: its outputs, where it lies in more than one batch.
        is_settled: it is answered, cancelled, dropped or failed; whatever comes out of the engine for it is left.
    """

    __slots__ = (
        "count",
        "deadline",
        "done",
        "is_settled",
        "is_urgent",
        "outlet",
        "queued",
        "results",
        "source",
        "staged",
        "submitted",
        "turn",
    )

    def __init__(self, outlet: Outlet[T], source: Source, count: int, submitted: float, deadline: float) -> None:
        self.outlet, self.source, self.count = outlet, source, count
        self.submitted, self.deadline, self.is_urgent = submitted, deadline, False
        self.queued, self.staged, self.turn, self.done = count, 0, 0, 0
        self.results: tuple[NDArray[Any], ...] | None = None
        self.is_settled = False

    @property
    def waiting(self) -> int:
        """Rows that the engine has not got yet."""
        return self.queued + self.staged


class Part(Generic[T]):
    """Rows `first` to `first + count - 1` of a request."""

    __slots__ = ("count", "first", "request")

    def __init__(self, request: Request[T], first: int, count: int) -> None:
        self.request, self.first, self.count = request, first, count

    def cut(self, count: int) -> tuple["Part[T]", "Part[T]"]:
        """Its first rows, and the others."""
        return Part(self.request, self.first, count), Part(self.request, self.first + count, self.count - count)


class Queue(Generic[T]):
    """Requests take turns of at most `TOP` images, so that a large one holds up no small one.

    Attributes:
        images: rows that wait here.
        earliest: no deadline of a request in here is before it.
    """

    def __init__(self) -> None:
        self.images = 0
        self.earliest = inf
        self._requests: OrderedDict[int, Request[T]] = OrderedDict()

    def __iter__(self) -> Iterator[Request[T]]:
        return iter(list(self._requests.values()))

    def push(self, request: Request[T]) -> None:
        """Let a request wait."""
        self._requests[id(request)] = request
        self.images += request.queued
        self.earliest = min(self.earliest, request.deadline)

    def remove(self, request: Request[T]) -> None:
        """Take a request out with all that is left of it; no harm where it is not here."""
        if self._requests.pop(id(request), None) is not None:
            self.images -= request.queued
            request.queued = 0

    def take(self, room: int) -> list[Part[T]]:
        """Parts of `room` images in all, or of all that there are."""
        parts: list[Part[T]] = []
        while room > 0 and self._requests:
            key, request = next(iter(self._requests.items()))
            count = min(room, request.queued, TOP - request.turn)
            parts.append(Part(request, request.count - request.queued, count))
            room -= count
            self._took(key, request, count)
        if not self._requests:
            self.earliest = inf
        return parts

    def renew(self) -> None:
        """Look up the earliest deadline anew."""
        self.earliest = min((request.deadline for request in self._requests.values()), default=inf)

    def _took(self, key: int, request: Request[T], count: int) -> None:
        self.images -= count
        request.queued -= count
        request.staged += count
        request.turn += count
        if request.queued == 0:
            del self._requests[key]
        elif request.turn == TOP:
            request.turn = 0
            self._requests.move_to_end(key)
