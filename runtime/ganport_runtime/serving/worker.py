"""The two threads of a batcher, and what they do for each of the two networks.

The engine's thread takes the next batch the moment a run ends. The helper's thread completes the answers of the batch
before, and drops requests whose deadline passes while the engine runs. If few answers are due and nothing waits, the
engine's thread completes them itself, which spares a single client the way through another thread.
"""

import atexit
import logging
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty
from threading import Lock, Thread, current_thread
from time import monotonic
from typing import Any, Generic, TypeVar
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from ganport_runtime.batches import TOP
from ganport_runtime.errors import ClosedError, PlanError, allocate, one_line
from ganport_runtime.latents import latents_of
from ganport_runtime.network import Network
from ganport_runtime.serving.answers import Answer, BatchReport, Scores, settle
from ganport_runtime.serving.policy import calibrate
from ganport_runtime.serving.queue import CLOSED, Batch, InputQueue, QueuedRequest, RequestPart, RowSource, timeout_of

T = TypeVar("T")
Outputs = Sequence[NDArray[Any]]
Observe = Callable[[BatchReport], None]
FORKED = "this batcher was made before the process forked; make one of its own in each process"
FEW = 4  # answers that the engine's thread completes itself
PATIENCE = 10.0  # seconds that the end of the interpreter waits for a run of the engine
log = logging.getLogger(__name__)


class BatchedNetwork(Generic[T]):
    """Rows in, rows out; `shape` and `dtype` are of one row that goes in."""

    dtype: str
    outputs: tuple[str, ...]

    def __init__(self, network: Network, shape: tuple[int, ...]) -> None:
        self._network, self.shape = network, shape

    def run(self, rows: NDArray[Any]) -> list[NDArray[Any]]:
        """The outputs of a batch that fills a bucket, in new arrays."""
        return self._network.run_bucket(self.outputs, rows)

    def nothing(self) -> T:
        """What a caller of no rows gets."""
        return self.answer(self._network.empty(self.outputs, 0))

    def fill(self, rows: NDArray[Any], parts: Sequence[RequestPart[Any]]) -> None:
        """Write the rows of the parts, one after another, into `rows`."""
        raise NotImplementedError

    def sample(self, count: int) -> NDArray[Any]:
        """Rows to warm and measure with."""
        raise NotImplementedError

    def answer(self, outputs: Outputs) -> T:
        """What a caller gets, made of the outputs of his rows."""
        raise NotImplementedError


class BatchedGenerator(BatchedNetwork[NDArray[np.uint8]]):
    """Seeds or latents to images."""

    dtype = "float32"
    outputs = ("image",)

    def fill(self, rows: NDArray[Any], parts: Sequence[RequestPart[Any]]) -> None:
        """Make the latents of all requests with seeds in one vectorized call."""
        ranges, places, position = [], [], 0
        for part in parts:
            place = slice(position, position + part.count)
            source = part.request.source
            if isinstance(source, tuple):
                ranges.append((source[0], source[1] + part.first, part.count))
                places.append(place)
            else:
                rows[place] = source[part.first : part.first + part.count]
            position = place.stop
        if len(places) == len(parts):
            latents_of(ranges, self.shape[0], out=rows)
        elif ranges:
            made, position = latents_of(ranges, self.shape[0]), 0
            for place in places:
                count = place.stop - place.start
                rows[place] = made[position : position + count]
                position += count

    def sample(self, count: int) -> NDArray[Any]:
        """Latents of a seed."""
        return latents_of([(0, 0, count)], self.shape[0])

    def answer(self, outputs: Outputs) -> NDArray[np.uint8]:
        """The images."""
        return outputs[0]


class BatchedDiscriminator(BatchedNetwork[Scores]):
    """Images to logits and features."""

    dtype = "uint8"
    outputs = ("logit", "features")

    def fill(self, rows: NDArray[Any], parts: Sequence[RequestPart[Any]]) -> None:
        """Copy the images into one batch."""
        position = 0
        for part in parts:
            rows[position : position + part.count] = part.request.source[part.first : part.first + part.count]
            position += part.count

    def sample(self, count: int) -> NDArray[Any]:
        """Noise."""
        return np.random.default_rng(0).integers(0, 256, (count, *self.shape), np.uint8)

    def answer(self, outputs: Outputs) -> Scores:
        """Logits and features."""
        return Scores(outputs[0], outputs[1])


class BatchWorker(Generic[T]):
    """Runs the batches of one network in two threads, until it is stopped and nothing waits.

    `note` says which buckets are not used, `breakdown` why a thread ended by itself.
    """

    def __init__(
        self, network: BatchedNetwork[T], *, max_delay: float, max_queue: int, observe: Observe | None
    ) -> None:
        seconds, self.note = calibrate(network.run, network.sample(TOP))
        self.buckets = tuple(seconds)
        self.breakdown: str | None = None
        self.queue: InputQueue[T] = InputQueue(seconds, max_delay=max_delay, max_queue=max_queue)
        self._network, self._observe = network, observe
        self._rows = np.zeros((TOP, *network.shape), network.dtype)  # of the batch that runs
        self._handed = self._delivered = 0  # batches that the helper was given, and those that it has delivered
        self._is_done = False
        loops = {"ganport-engine": self._run_engine, "ganport-helper": self._run_helper}
        self.threads: tuple[Thread, ...] = tuple(
            Thread(target=self._guarded, args=(loop,), name=name, daemon=True) for name, loop in loops.items()
        )
        for thread in self.threads:
            thread.start()
        _workers.add(self)

    def submit(self, source: RowSource, count: int, timeout: float | None) -> Answer[T]:
        """Queue a request; see `InputQueue.submit`. One of no rows is answered at once."""
        answer: Answer[T] = Answer()
        if count:
            self.queue.submit(answer, source, count, timeout)
        else:
            timeout_of(timeout)
            self.queue.check_open()
            answer.settle(self._network.nothing())
        return answer

    def stop(self, drain: bool, breakdown: str | None = None) -> None:
        """Accept nothing more. The threads end when what waits is done, or at once if not `drain`.

        After a breakdown nothing delivers what the engine has, so those requests fail too.
        """
        queue = self.queue
        with queue.lock:
            queue.closed = breakdown or queue.closed or CLOSED
            left = [] if drain else queue.drop_all(with_running=breakdown is not None)
        settle(left)
        queue.wake_engine.put(None)

    def join(self, timeout: float | None = None) -> None:
        """Wait for the threads to end. A callback may run in one of them; then this returns at once."""
        if current_thread() not in self.threads:
            for thread in self.threads:
                thread.join(timeout)

    def abandon(self) -> None:
        """Finish what was accepted when the batcher is garbage; takes no lock, because it may run anywhere."""
        self.queue.closed = self.queue.closed or CLOSED
        self.queue.wake_engine.put(None)

    def refuse_after_fork(self) -> None:
        """In a forked process, which has none of the threads and where any lock may be held: refuse everything."""
        self.threads = ()
        self.queue.lock = Lock()
        self.queue.closed = FORKED

    def _guarded(self, loop: Callable[[], None]) -> None:
        """A thread that fails leaves no caller waiting."""
        try:
            loop()
        except BaseException as error:
            self.breakdown = repr(error)
            self.stop(drain=False, breakdown=f"this batcher broke down: {error!r}; make another one")
            raise

    def _run_engine(self) -> None:
        queue = self.queue
        try:
            while True:
                settle(queue.drop_late())
                found = queue.next_batch()
                if found is None:
                    return
                if isinstance(found, float):
                    with suppress(Empty):
                        queue.wake_engine.get(timeout=found)
                    continue
                outcome = self._run(found)
                if len(found.parts) <= FEW and queue.waiting == 0 and self._handed == self._delivered:
                    self._deliver(found, outcome)
                else:
                    self._handed += 1
                    queue.wake_helper.put((found, outcome))
        finally:
            self._is_done = True
            queue.wake_helper.put(None)

    def _run_helper(self) -> None:
        queue = self.queue
        while True:
            done = None
            with suppress(Empty):
                done = queue.wake_helper.get(timeout=queue.helper_sleep())
            if done is not None:
                self._deliver(*done)
                self._delivered += 1
            elif self._is_done and queue.wake_helper.empty():
                return
            settle(queue.drop_late())

    def _run(self, batch: Batch[T]) -> Outputs | Exception:
        rows = self._rows[: batch.bucket]
        outcome: Outputs | Exception
        began = batch.started = monotonic()
        try:
            self._network.fill(rows[: batch.images], batch.parts)
            rows[batch.images :] = 0
            batch.started = monotonic()
            outcome = self._network.run(rows)
        except Exception as error:
            outcome = error
        batch.latents_seconds, batch.seconds = batch.started - began, monotonic() - batch.started
        self.queue.ended(batch, failed=isinstance(outcome, Exception))
        return outcome

    def _deliver(self, batch: Batch[T], outcome: Outputs | Exception) -> None:
        """Complete every answer that the batch completes, or fail those of a batch that failed; then report."""
        if isinstance(outcome, Exception):
            self._fail(batch.requests(), outcome, batch.images)
            whole = []
        else:
            whole = self._whole(batch, outcome)
        with self.queue.lock:
            answered = [(request, made) for request, made in whole if not request.is_settled]
            for request, _ in answered:
                request.is_settled = True
            self.queue.completed += len(answered)
            self.queue.images += 0 if isinstance(outcome, Exception) else batch.images
            self.queue.under_way.discard(batch)
        settle((request.answer, made) for request, made in answered)
        try:
            if self._observe is not None:
                self._observe(_report(batch, failed=isinstance(outcome, Exception)))
        except Exception:
            log.exception("the observer of a batcher failed, and gets no further reports")
            self._observe = None

    def _whole(self, batch: Batch[T], outputs: Outputs) -> list[tuple[QueuedRequest[T], T]]:
        """The requests that have all their rows now, with what they get."""
        position, whole = 0, []
        for part in batch.parts:
            try:
                made = _gather(part, outputs, position)
                if made is not None and not part.request.is_settled:
                    whole.append((part.request, self._network.answer(made)))
            except Exception as error:  # no memory for a large request; the others get theirs
                self._fail([part.request], error, batch.images)
            position += part.count
        return whole

    def _fail(self, requests: Sequence[QueuedRequest[T]], cause: Exception, images: int) -> None:
        with self.queue.lock:
            failed = [request for request in requests if not request.is_settled]
            for request in failed:
                self.queue.drop(request)
            self.queue.failed += len(failed)
        settle((request.answer, _failure(cause, images)) for request in failed)


def _gather(part: RequestPart[Any], outputs: Outputs, position: int) -> Outputs | None:
    """The outputs of a request if it has them all now, else None."""
    request = part.request
    if part.count == request.count:
        # a copy where a view would keep a batch in memory that is more than twice as large
        return [
            rows if 2 * part.count >= len(array) else rows.copy()
            for array in outputs
            for rows in (array[position : position + part.count],)
        ]
    if request.is_settled:
        return None
    if request.results is None:
        request.results = tuple(allocate((request.count, *array.shape[1:]), array.dtype) for array in outputs)
    for result, array in zip(request.results, outputs, strict=True):
        result[part.first : part.first + part.count] = array[position : position + part.count]
    request.done += part.count
    return request.results if request.done == request.count else None


def _failure(cause: Exception, images: int) -> Exception:
    reason = one_line(str(cause)) or type(cause).__name__
    error: Exception
    if isinstance(cause, ClosedError):
        error = ClosedError(f"a batch of {images} images came too late: {reason}")
    else:
        error = PlanError(f"a batch of {images} images failed: {reason}; ask again, or look for the reason")
    error.__cause__ = cause
    return error


def _report(batch: Batch[Any], *, failed: bool) -> BatchReport:
    requests = batch.requests()
    return BatchReport(
        images=batch.images,
        bucket=batch.bucket,
        requests=len(requests),
        queue_seconds=tuple(batch.started - request.submitted for request in requests),
        latents_seconds=batch.latents_seconds,
        engine_seconds=batch.seconds,
        failed=failed,
    )


_workers: "WeakSet[BatchWorker[Any]]" = WeakSet()


@atexit.register
def _end() -> None:
    """A thread that is still in an engine while the interpreter shuts down would crash it."""
    for worker in list(_workers):
        worker.stop(drain=False)
    for worker in list(_workers):
        worker.join(PATIENCE)


def _forked() -> None:
    for worker in list(_workers):
        worker.refuse_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
