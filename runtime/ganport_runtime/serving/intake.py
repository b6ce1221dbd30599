"""What waits for the engine: who is let in, who leaves again, and who would be late. Any thread may call it."""

from functools import partial
from math import inf
from queue import SimpleQueue
from threading import Lock
from time import monotonic
from typing import Any, Generic, TypeVar

from ganport_runtime.buckets import TOP
from ganport_runtime.errors import ClosedError, InputError
from ganport_runtime.serving.answer import Outlet
from ganport_runtime.serving.errors import DeadlineError, QueueFullError
from ganport_runtime.serving.pacing import Returns, Speeds
from ganport_runtime.serving.requests import Part, Queue, Request, Source
from ganport_runtime.serving.seconds import limit_of
from ganport_runtime.serving.staging import Batch, Staging
from ganport_runtime.serving.tally import Tally

__all__ = ["Intake", "Outcome"]

T = TypeVar("T")
Outcome = tuple[Outlet[Any], BaseException]
CLOSED = "this batcher is closed; make another one"


class Intake(Generic[T]):
    """The queue and the next batch under one lock, with what is needed to judge a newcomer and to wake the threads.

    Attributes:
        lock: guards everything in here but the bells.
        queue: requests that wait.
        staging: the next batch.
        filling: what was last taken out of the queue for it; its rows may still be made.
        cut: batches whose answers are not complete.
        speeds: what runs take.
        returns: what comes back after them.
        tally: counts.
        waiting: images in `queue` and `staging`, those of dropped requests not counted.
        running: images in the engine.
        free_at: when the engine should be done with them.
        stage_at: when the helper is to put the next batch together; infinity where it is not to.
        wanted: images for which the engine's thread sleeps; infinity while it is awake.
        alarm: when the helper's thread wakes by itself.
        engine_bell: wakes the engine's thread.
        helper_bell: wakes the helper's, and brings it what the engine has done.
        closed: why nothing is accepted any more.
    """

    def __init__(self, speeds: Speeds, shape: tuple[int, ...], dtype: str, *, max_delay: float, max_queue: int) -> None:
        self.lock = Lock()
        self.queue: Queue[T] = Queue()
        self.staging: Staging[T] = Staging(shape, dtype)
        self.filling: list[Part[T]] = []
        self.cut: set[Batch[T]] = set()
        self.speeds, self.max_delay, self.max_queue = speeds, max_delay, max_queue
        self.returns, self.tally = Returns(max_delay), Tally()
        self.waiting, self.running, self.free_at = 0, 0, 0.0
        self.stage_at, self.wanted, self.alarm = inf, inf, inf
        self.engine_bell: SimpleQueue[None] = SimpleQueue()
        self.helper_bell: SimpleQueue[Any] = SimpleQueue()
        self.closed: str | None = None

    def submit(self, outlet: Outlet[T], source: Source, count: int, timeout: float | None) -> None:
        """Let a request of `count` rows wait, whose outcome goes to `outlet`.

        Raises:
            InputError: it is larger than the whole queue, or the timeout is no number.
            QueueFullError: there is no room for it now.
            DeadlineError: it would be late.
            ClosedError: nothing is accepted any more.
        """
        if count > self.max_queue:
            raise InputError(
                f"{count} images are more than the queue may hold, {self.max_queue}; ask for fewer at a time"
            )
        limit = limit_of(timeout)
        now = monotonic()
        request = Request(outlet, source, count, now, now + limit)
        with self.lock:
            self._admit(request, now)
            outlet.bind(partial(self.withdraw, request))
            self.returns.came(count, now)
            self.queue.push(request)
            self.waiting += count
            self.tally.accepted += 1
            if self.waiting >= self.wanted:
                self.wanted = inf
                self.engine_bell.put(None)
            elif self.running:
                self.wake_helper_for(min(request.deadline, self.stage_at))

    def wake_helper_for(self, when: float) -> None:
        """See that the helper's thread is awake at a time; the lock is held."""
        if when < self.alarm:
            self.alarm = when
            self.helper_bell.put(None)

    def began(self, batch: Batch[T], free_at: float) -> None:
        """The engine gets a batch; the lock is held."""
        self.cut.add(batch)
        self.running, self.free_at = batch.images, free_at
        self.waiting -= batch.images
        self.wanted = inf

    def ended(self, batch: Batch[T], now: float, seconds: float | None) -> None:
        """The engine is done with a batch, in so many seconds where it did not fail; the lock is held."""
        self.running, self.stage_at = 0, inf
        self.tally.ran(batch.images, now - batch.free_since)
        self.returns.ran(batch.images, now)
        if seconds is not None:
            self.speeds.saw(len(batch.rows), seconds)

    def refusal(self, again: QueueFullError | None = None) -> QueueFullError | None:
        """Why not even one row has room now, counted as a refused request; None where it has.

        Args:
            again: an earlier refusal, given once more where there still is no room: words take longer than to count.
        """
        if self.waiting < self.max_queue:  # read without the lock: whoever comes in between is judged again
            return None
        with self.lock:
            if again is None or self.waiting < self.max_queue:
                return self._full(1, monotonic())
            self.tally.refused["queue_full"] += 1
            return again

    def check_open(self) -> None:
        """See that it is not closed.

        Raises:
            ClosedError: it is.
        """
        if self.closed is not None:
            raise ClosedError(self.closed)

    def withdraw(self, request: Request[T]) -> bool:
        """Let a request go whose caller cancels it; False where none of it waits any more."""
        with self.lock:
            if request.is_settled or request.waiting == 0:
                return False
            self.drop(request)
            self.tally.cancelled += 1
            return True

    def drop(self, request: Request[T]) -> None:
        """Take out what waits of a request, in the queue and in the next batch; the lock is held."""
        request.is_settled = True
        self.waiting -= request.waiting
        self.queue.remove(request)
        if request.staged:
            self.staging.has_dropped = True
            request.staged = 0

    def drop_late(self, now: float) -> list[Outcome]:
        """Take out every request that will be late, before it costs the engine anything; the lock is held."""
        costs, begins = self.speeds.costs, max(now, self.free_at if self.running else now)
        earliest = min(self.queue.earliest, self.staging.earliest)
        if earliest >= begins + costs.estimate(self.staging.count + self.queue.images):
            return []
        ahead = self.staging.count
        ready = begins + costs.estimate(ahead)
        staged = {id(part.request): part.request for part in self.staging.parts}.values()
        # a large request may wait in both places
        found = {id(one): one for one in staged if not one.is_settled and _is_late(one, now, ready)}
        for request in self.queue:
            if id(request) in found or _is_late(request, now, begins + costs.estimate(ahead + request.queued)):
                found[id(request)] = request
            else:
                ahead += min(request.queued, TOP)
        late = list(found.values())
        for request in late:
            self.drop(request)
        self.queue.renew()
        self.staging.renew()
        self.tally.refused["deadline"] += len(late)
        return [(request.outlet, _late(request, now)) for request in late]

    def drop_all(self, *, with_cut: bool) -> list[Outcome]:
        """Take out everything that waits, and what was cut too where nobody will deliver it; the lock is held."""
        parts = list(self.staging.parts)
        if with_cut:
            parts += [*self.filling, *(part for batch in self.cut for part in batch.parts)]
        requests = {id(request): request for request in (*self.queue, *(part.request for part in parts))}
        left = [request for request in requests.values() if not request.is_settled]
        for request in left:
            self.drop(request)
        self.tally.refused["closed"] += len(left)
        return [(request.outlet, ClosedError(self.closed or CLOSED)) for request in left]

    def _admit(self, request: Request[T], now: float) -> None:
        if self.closed is not None:
            raise self._refused("closed", ClosedError(self.closed))
        full = self._full(request.count, now)
        if full is not None:
            raise full
        if request.deadline < inf:
            self._judge(request, now, self._rest(now))

    def _full(self, count: int, now: float) -> QueueFullError | None:
        over = self.waiting + count - self.max_queue
        if over <= 0:
            return None
        seconds = self._rest(now) + self.speeds.costs.estimate(over)
        text = f"{self.waiting} images wait, of {self.max_queue} at most; ask again in {seconds:.3f} seconds"
        self.tally.refused["queue_full"] += 1
        return QueueFullError(text, seconds)

    def _rest(self, now: float) -> float:
        """Seconds until the engine should be done with what it has."""
        return max(0.0, self.free_at - now) if self.running else 0.0

    def _judge(self, request: Request[T], now: float, rest: float) -> None:
        """Refuse what will be late; a request that finds the engine free is tried, for estimates grow old."""
        request.is_urgent = self.waiting == 0 and self.running == 0
        estimate = self.speeds.costs.estimate
        begins = now + rest
        if request.deadline > now and (
            request.is_urgent or begins + estimate(self.waiting + request.count) <= request.deadline
        ):
            return
        own = -(-request.count // TOP) * TOP  # while it takes its turns, others have as many at most
        ahead = self.staging.count + sum(min(other.queued, own) for other in self.queue)
        if _is_late(request, now, begins + estimate(ahead + request.count)):
            raise self._refused("deadline", _late(request, now))

    def _refused(self, reason: str, error: Exception) -> Exception:
        self.tally.refused[reason] += 1
        return error


def _is_late(request: Request[Any], now: float, done: float) -> bool:
    return request.deadline <= now or (request.deadline < done and not request.is_urgent)


def _late(request: Request[Any], now: float) -> DeadlineError:
    allowed, waited = request.deadline - request.submitted, now - request.submitted
    return DeadlineError(
        f"{request.count} images would come later than the {allowed:.3f} seconds that were allowed, "
        f"{waited:.3f} of which they waited; allow more, or ask for fewer"
    )
