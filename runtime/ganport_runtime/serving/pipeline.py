"""The two threads of a batcher: one runs the engine and does nothing else while images wait, one does all the rest.

The engine's thread takes the next batch the moment a run ends. While it runs, the helper's thread completes the
answers of the batch before, drops requests that will be late, and shortly before the run should end puts the next
batch together, its latents made in one go. What comes after that is added by the engine's thread itself, as is all of
it where the engine was idle: then there is no run to hide it behind, and no second thread to wait for.
"""

from contextlib import suppress
from math import inf
from queue import Empty
from threading import Lock
from time import monotonic
from typing import Any, Generic, TypeVar

from ganport_runtime.serving.answer import settle
from ganport_runtime.serving.delivery import Delivery, Ran
from ganport_runtime.serving.intake import Intake
from ganport_runtime.serving.pacing import next_step
from ganport_runtime.serving.staging import Batch
from ganport_runtime.serving.work import Work

__all__ = ["Pipeline"]

T = TypeVar("T")
FEW = 4  # answers that the engine's thread completes itself where nothing waits, sparing them the way to the helper
AHEAD = 0.1  # of a run, and
MARGIN = 1e-3  # seconds: so long before its end the next batch is put together, where a run takes twice as long
LONGEST = 3600.0  # seconds that a thread sleeps; it sleeps again where there is nothing to do


class Pipeline(Generic[T]):
    """What the two threads do; `run` and `help` end once the batcher is closed and nothing waits."""

    def __init__(self, work: Work[T], intake: Intake[T], delivery: Delivery[T]) -> None:
        self._work, self._intake, self._delivery = work, intake, delivery
        self._staging = Lock()
        self._handed, self._delivered = 0, 0  # batches that the helper was given, and those that it has delivered
        self._free_since: float | None = None
        self._is_done = False

    def run(self) -> None:
        """Run batch after batch."""
        bell = self._intake.helper_bell
        try:
            while (batch := self._next()) is not None:
                ran = self._run(batch)
                if self._are_few(ran):
                    self._delivery.deliver(ran)
                else:
                    self._handed += 1
                    bell.put(ran)
        finally:
            self._is_done = True
            bell.put(None)

    def help(self) -> None:
        """Complete answers, drop what will be late, put the next batch together."""
        bell = self._intake.helper_bell
        while True:
            ran = None
            with suppress(Empty):
                ran = bell.get(timeout=self._plan())
            if ran is not None:
                self._delivery.deliver(ran)
                self._delivered += 1
            elif self._is_done and bell.empty():
                return
            self._prepare()

    def _run(self, batch: Batch[T]) -> Ran[T]:
        intake = self._intake
        began = monotonic()
        try:
            outcome: Any = self._work.run(batch.rows)
        except Exception as error:
            outcome = error
        ended = monotonic()
        with intake.lock:
            intake.ended(batch, ended, None if isinstance(outcome, Exception) else ended - began)
            self._free_since = ended if intake.waiting else None
        return Ran(batch, outcome, ended - began)

    def _are_few(self, ran: Ran[T]) -> bool:
        """Whether the engine's thread is to complete the answers itself: it has nothing else to do, nor the helper."""
        return len(ran.batch.parts) <= FEW and self._intake.waiting == 0 and self._handed == self._delivered

    def _next(self) -> Batch[T] | None:
        """The next batch as soon as there is one, or None once the batcher is closed and nothing waits."""
        while True:
            with self._staging:
                self._stage()
                found = self._decide()
            if not isinstance(found, float):
                return found
            with suppress(Empty):
                self._intake.engine_bell.get(timeout=found)

    def _decide(self) -> Batch[T] | float | None:
        """A batch to run, the seconds to sleep, or None at the end."""
        intake = self._intake
        with intake.lock:
            intake.staging.compact()
            now, waiting = monotonic(), intake.staging.count + intake.queue.images
            if waiting == 0:
                self._free_since, intake.wanted = None, 1
                return LONGEST if intake.closed is None else None
            self._free_since = self._free_since or now
            patience = 0.0 if intake.closed else self._free_since + intake.max_delay - now
            returns = intake.returns
            step = next_step(intake.speeds.costs, waiting, returns.expected(now), patience, returns.away)
            if step.images == 0:
                intake.wanted = step.wanted
                return step.seconds
            if step.images > intake.staging.count and intake.queue.images:
                return 0.0  # more has come since the batch was put together
            return self._cut(min(step.images, intake.staging.count), now)

    def _cut(self, images: int, now: float) -> Batch[T]:
        intake = self._intake
        bucket = intake.speeds.costs.bucket_of(images)
        seconds = intake.speeds.costs.seconds[bucket]
        batch = intake.staging.cut(images, bucket, self._free_since or now, now)
        intake.began(batch, now + seconds)
        lead = MARGIN + AHEAD * seconds
        intake.stage_at = intake.free_at - lead if seconds > 2 * MARGIN else inf
        if intake.waiting:
            intake.wake_helper_for(min(intake.stage_at, intake.queue.earliest, intake.staging.earliest))
        return batch

    def _stage(self) -> None:
        """Add what waits to the next batch, up to the largest run, and make its rows; `_staging` is held."""
        intake = self._intake
        with intake.lock:
            late = intake.drop_late(monotonic())
            intake.staging.compact()
            intake.filling = parts = intake.queue.take(intake.speeds.costs.top - intake.staging.count)
        settle(late)
        if parts:
            self._fill(parts)

    def _fill(self, parts: list[Any]) -> None:
        intake = self._intake
        count = sum(part.count for part in parts)
        began = monotonic()
        try:
            self._work.fill(intake.staging.free[:count], parts)
        except Exception as error:  # no memory
            self._delivery.fail(parts, error, count)
            return
        with intake.lock:
            intake.staging.add(parts, count, monotonic() - began)

    def _plan(self) -> float:
        """Seconds until the helper has something to do."""
        intake = self._intake
        with intake.lock:
            stage_at = intake.stage_at if intake.waiting else inf
            intake.alarm = min(stage_at, intake.queue.earliest, intake.staging.earliest)
            return min(LONGEST, max(0.0, intake.alarm - monotonic()))

    def _prepare(self) -> None:
        """Drop what will be late; put the next batch together where it is time to."""
        intake = self._intake
        with intake.lock:
            now = monotonic()
            late = intake.drop_late(now)
            is_due = intake.stage_at < inf and (now >= intake.stage_at or intake.waiting >= intake.speeds.costs.top)
            intake.stage_at = inf if is_due else intake.stage_at
        settle(late)
        if is_due:
            with self._staging:
                self._stage()
