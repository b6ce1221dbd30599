"""The input queue of a batcher: which requests are accepted, which run next, which are dropped. Any thread may call it.

Requests take turns of at most `TOP` images, so that a large request does not hold up small ones.
"""

from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from math import inf
from queue import SimpleQueue
from threading import Lock
from time import monotonic
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from ganport_runtime.batches import TOP
from ganport_runtime.errors import ClosedError, InputError, shown
from ganport_runtime.serving.answers import Answer, BatcherStats, DeadlineError, QueueFullError
from ganport_runtime.serving.policy import Returns, Speeds, decide

T = TypeVar("T")
RowSource = tuple[int, int] | NDArray[Any]
"""Where a request's rows come from: the seed and the first image of latents, or the rows themselves."""

CLOSED = "this batcher is closed; make another one"
LONGEST_TIMEOUT = 1e9  # seconds; a longer timeout, which may not fit a float, is taken as this
LONGEST_DELAY = 3600.0
LONGEST_SLEEP = 3600.0  # seconds that a thread sleeps when it has nothing to do
FADING = 0.9  # weight of earlier batches in `images_per_second`, per batch


@dataclass(slots=True, eq=False)
class QueuedRequest(Generic[T]):
    """One caller's request; times on the monotonic clock."""

    answer: Answer[T]
    source: RowSource
    count: int  # rows in all
    submitted: float
    deadline: float  # infinity: none
    queued: int  # rows that still wait
    is_urgent: bool = False  # it found the engine free: it runs whatever the estimates say, and so renews them
    turn: int = 0  # rows taken since it was last at the head of the queue
    done: int = 0  # rows that came out of the engine
    results: tuple[NDArray[Any], ...] | None = None  # its outputs, if it is spread over several batches
    is_settled: bool = False  # answered, cancelled, dropped or failed; later outputs for it are ignored

    def is_late(self, now: float, done: float) -> bool:
        """Whether it is late now, or will be if it is done at a time."""
        return self.deadline <= now or (self.deadline < done and not self.is_urgent)


@dataclass(slots=True, eq=False)
class RequestPart(Generic[T]):
    """Rows `first` to `first + count - 1` of a request."""

    request: QueuedRequest[T]
    first: int
    count: int


@dataclass(slots=True, eq=False)
class Batch(Generic[T]):
    """One run of the engine."""

    parts: list[RequestPart[T]]  # in the order of their rows
    images: int  # rows that were asked for
    bucket: int
    free_since: float  # when the engine was free for it, on the monotonic clock
    latents_seconds: float = 0.0  # to make or copy its rows
    started: float = 0.0
    seconds: float = 0.0  # of the engine's run

    def requests(self) -> list[QueuedRequest[T]]:
        """Those that have rows in it, each once."""
        return list({id(part.request): part.request for part in self.parts}.values())


class InputQueue(Generic[T]):
    """Requests that wait, under one lock, with what is needed to judge a new one and to wake the worker's threads."""

    def __init__(self, seconds: dict[int, float], *, max_delay: float, max_queue: int) -> None:
        self.lock = Lock()
        self.under_way: set[Batch[T]] = set()  # whose answers are not complete
        self.speeds = Speeds(seconds)
        self.waiting = 0  # images
        self.wake_engine: SimpleQueue[None] = SimpleQueue()
        self.wake_helper: SimpleQueue[Any] = SimpleQueue()  # also brings what the engine has done
        self.closed: str | None = None  # why nothing is accepted any more
        self.completed = self.failed = self.images = 0  # kept by the worker
        self._requests: OrderedDict[int, QueuedRequest[T]] = OrderedDict()
        self._earliest = inf  # lower bound on the deadlines of the waiting requests
        self._max_delay, self._max_queue = max_delay, max_queue
        self._returns = Returns(max_delay)
        self._running, self._free_at = 0, 0.0  # images in the engine, and when it should be done with them
        self._free_since: float | None = None  # when the engine became free while images waited
        self._wanted = inf  # images for which the engine's thread sleeps; infinity while it is awake
        self._alarm = inf  # when the helper's thread wakes up
        self._accepted = self._cancelled = self._batches = 0
        self._refused = {"queue_full": 0, "deadline": 0, "closed": 0}
        self._recent_images = self._recent_seconds = 0.0

    def submit(self, answer: Answer[T], source: RowSource, count: int, timeout: float | None) -> None:
        """Queue a request of `count` rows, 1 or more; raises as `Batcher.submit` does."""
        if count > self._max_queue:
            raise InputError(
                f"{count} images are more than the queue may hold, {self._max_queue}; ask for fewer at a time"
            )
        limit = timeout_of(timeout)
        now = monotonic()
        request = QueuedRequest(answer, source, count, now, now + limit, queued=count)
        with self.lock:
            self._admit(request, now)
            answer.bind(partial(self._withdraw, request))
            self._returns.came(count, now)
            self._requests[id(request)] = request
            self._earliest = min(self._earliest, request.deadline)
            self.waiting += count
            self._accepted += 1
            if self.waiting >= self._wanted:
                self._wanted = inf
                self.wake_engine.put(None)
            elif self._running:
                self._wake_helper_at(request.deadline)

    def next_batch(self) -> Batch[T] | float | None:
        """A batch to run now, or the seconds to sleep, or None once it is closed and nothing waits."""
        with self.lock:
            now = monotonic()
            if self.waiting == 0:
                self._free_since, self._wanted = None, 1
                return LONGEST_SLEEP if self.closed is None else None
            self._free_since = self._free_since or now
            patience = 0.0 if self.closed else self._free_since + self._max_delay - now
            forecast = self._returns.forecast(now)
            decision = decide(self.speeds.costs, self.waiting, forecast, patience, self._returns.away)
            if decision.images == 0:
                self._wanted = decision.wanted
                return decision.seconds
            bucket = self.speeds.costs.bucket_of(decision.images)
            batch = Batch(self._take(decision.images), decision.images, bucket, self._free_since)
            self.under_way.add(batch)
            self._running, self._free_at = batch.images, now + self.speeds.costs.seconds[bucket]
            self._wanted = inf
            if self.waiting:
                self._wake_helper_at(self._earliest)
            return batch

    def ended(self, batch: Batch[T], *, failed: bool) -> None:
        """Record that the engine is done with a batch."""
        with self.lock:
            now = monotonic()
            self._running = 0
            self._free_since = now if self.waiting else None
            self._batches += 1
            self._recent_images = FADING * self._recent_images + batch.images
            self._recent_seconds = FADING * self._recent_seconds + now - batch.free_since
            self._returns.ran(batch.images, now)
            if not failed:
                self.speeds.saw(batch.bucket, batch.seconds)

    def helper_sleep(self) -> float:
        """Seconds until a deadline passes; the helper's thread sleeps so long."""
        with self.lock:
            self._alarm = self._earliest
            return min(LONGEST_SLEEP, max(0.0, self._alarm - monotonic()))

    def refusal(self) -> QueueFullError | None:
        """Why not even one image has room now, counted as a refused request; None if one has."""
        if self.waiting < self._max_queue:  # read without the lock; `submit` checks again
            return None
        with self.lock:
            return self._full(1, monotonic()) if self.waiting >= self._max_queue else None

    def check_open(self) -> None:
        """Raise ClosedError if it is closed."""
        if self.closed is not None:
            raise ClosedError(self.closed)

    def stats(self) -> BatcherStats:
        """All counts, and what is under way."""
        with self.lock:
            return BatcherStats(
                queued=self.waiting,
                running=self._running,
                images_per_second=self._recent_images / self._recent_seconds if self._recent_seconds else 0.0,
                accepted=self._accepted,
                completed=self.completed,
                failed=self.failed,
                cancelled=self._cancelled,
                refused=dict(self._refused),
                images=self.images,
                batches=self._batches,
            )

    def drop(self, request: QueuedRequest[T]) -> None:
        """Take out what still waits of a request; the lock is held."""
        request.is_settled = True
        self.waiting -= request.queued
        request.queued = 0
        self._requests.pop(id(request), None)

    def drop_late(self) -> list[tuple[Answer[T], Exception]]:
        """Take out every request that will be late, before the engine runs it."""
        with self.lock:
            now = monotonic()
            estimate, begins = self.speeds.costs.estimate, max(now, self._free_at if self._running else now)
            if self._earliest >= begins + estimate(self.waiting):
                return []
            ahead, late = 0, []
            for request in self._requests.values():
                if request.is_late(now, begins + estimate(ahead + request.queued)):
                    late.append(request)
                else:
                    ahead += min(request.queued, TOP)
            for request in late:
                self.drop(request)
            self._earliest = min((request.deadline for request in self._requests.values()), default=inf)
            self._refused["deadline"] += len(late)
            return [(request.answer, _late(request, now)) for request in late]

    def drop_all(self, *, with_running: bool) -> list[tuple[Answer[T], Exception]]:
        """Take out everything that waits, and what is under way if nothing will deliver it; the lock is held."""
        found: list[QueuedRequest[T]] = list(self._requests.values())
        for batch in self.under_way if with_running else ():
            found += batch.requests()
        left = [request for request in {id(one): one for one in found}.values() if not request.is_settled]
        for request in left:
            self.drop(request)
        self._refused["closed"] += len(left)
        return [(request.answer, ClosedError(self.closed or CLOSED)) for request in left]

    def _take(self, images: int) -> list[RequestPart[T]]:
        parts: list[RequestPart[T]] = []
        self.waiting -= images
        while images > 0:
            key, request = next(iter(self._requests.items()))
            count = min(images, request.queued, TOP - request.turn)
            parts.append(RequestPart(request, request.count - request.queued, count))
            images -= count
            request.queued -= count
            request.turn += count
            if request.queued == 0:
                del self._requests[key]
            elif request.turn == TOP:
                request.turn = 0
                self._requests.move_to_end(key)
        if not self._requests:
            self._earliest = inf
        return parts

    def _withdraw(self, request: QueuedRequest[T]) -> bool:
        with self.lock:
            if request.is_settled or request.queued == 0:
                return False
            self.drop(request)
            self._cancelled += 1
            return True

    def _wake_helper_at(self, when: float) -> None:
        if when < self._alarm:
            self._alarm = when
            self.wake_helper.put(None)

    def _admit(self, request: QueuedRequest[T], now: float) -> None:
        if self.closed is not None:
            self._refused["closed"] += 1
            raise ClosedError(self.closed)
        if self.waiting + request.count > self._max_queue:
            raise self._full(request.count, now)  # kept in no variable, which would make a cycle with its traceback
        if request.deadline < inf:
            self._check_deadline(request, now)

    def _full(self, count: int, now: float) -> QueueFullError:
        seconds = self._rest(now) + self.speeds.costs.estimate(self.waiting + count - self._max_queue)
        text = f"{self.waiting} images wait, of {self._max_queue} at most; ask again in {seconds:.3f} seconds"
        self._refused["queue_full"] += 1
        return QueueFullError(text, seconds)

    def _rest(self, now: float) -> float:
        return max(0.0, self._free_at - now) if self._running else 0.0

    def _check_deadline(self, request: QueuedRequest[T], now: float) -> None:
        """Refuse a request that will be late. One that finds the engine free is tried, because estimates grow old."""
        request.is_urgent = self.waiting == 0 and self._running == 0
        begins, estimate = now + self._rest(now), self.speeds.costs.estimate
        if not request.is_late(now, begins + estimate(self.waiting + request.count)):
            return
        own = -(-request.count // TOP) * TOP  # while it takes its turns, each other request has at most as many
        ahead = sum(min(other.queued, own) for other in self._requests.values())
        if request.is_late(now, begins + estimate(ahead + request.count)):
            self._refused["deadline"] += 1
            raise _late(request, now)


def timeout_of(timeout: Any) -> float:
    """The seconds of a timeout, infinity for None; InputError if it is no number."""
    if timeout is None:
        return inf
    if isinstance(timeout, bool) or not isinstance(timeout, int | float | np.number) or timeout != timeout:
        raise InputError(f"timeout is {shown(timeout)}, wanted a number of seconds, or None")
    return LONGEST_TIMEOUT if timeout > LONGEST_TIMEOUT else float(timeout)


def delay_of(seconds: Any) -> float:
    """The seconds of `max_delay`, or InputError."""
    is_number = isinstance(seconds, int | float | np.number) and not isinstance(seconds, bool)
    if not is_number or not 0 <= seconds <= LONGEST_DELAY:
        raise InputError(f"max_delay is {shown(seconds)}, wanted a number of seconds, 0 to {LONGEST_DELAY:g}")
    return float(seconds)


def _late(request: QueuedRequest[Any], now: float) -> DeadlineError:
    allowed, waited = request.deadline - request.submitted, now - request.submitted
    return DeadlineError(
        f"{request.count} images would come later than the {allowed:.3f} seconds that were allowed, "
        f"{waited:.3f} of which they waited; allow more, or ask for fewer"
    )
