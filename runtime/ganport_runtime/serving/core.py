"""A batcher's parts put together: what waits, the two threads that work on it, and how they end."""

from collections.abc import Callable
from threading import Lock, Thread, current_thread
from typing import Generic, TypeVar

from ganport_runtime.serving.answer import Answer, Call, settle
from ganport_runtime.serving.calibration import calibrate
from ganport_runtime.serving.delivery import Delivery
from ganport_runtime.serving.errors import QueueFullError
from ganport_runtime.serving.intake import CLOSED, Intake
from ganport_runtime.serving.lifetimes import watch
from ganport_runtime.serving.pacing import Speeds
from ganport_runtime.serving.pipeline import Pipeline
from ganport_runtime.serving.reports import BatcherStats, BatchReport
from ganport_runtime.serving.requests import Source
from ganport_runtime.serving.seconds import limit_of
from ganport_runtime.serving.work import Work

__all__ = ["Core"]

T = TypeVar("T")
FORKED = "this batcher was made before the process forked; make one of its own in each process"


class Core(Generic[T]):
    """Batches rows for one network."""

    def __init__(
        self, work: Work[T], *, max_delay: float, max_queue: int, observe: Callable[[BatchReport], None] | None
    ) -> None:
        found = calibrate(work)
        self.note, self.buckets = found.note, tuple(found.seconds)
        self._work = work
        self._intake: Intake[T] = Intake(
            Speeds(found.seconds), work.shape, work.dtype, max_delay=max_delay, max_queue=max_queue
        )
        pipeline = Pipeline(work, self._intake, Delivery(self._intake, work.answer, observe))
        loops = {"ganport-engine": pipeline.run, "ganport-helper": pipeline.help}
        self.breakdown: str | None = None
        self._threads: tuple[Thread, ...] = tuple(
            Thread(target=self._guarded, args=(loop,), name=name, daemon=True) for name, loop in loops.items()
        )
        for thread in self._threads:
            thread.start()
        watch(self)

    def submit(self, source: Source, count: int, timeout: float | None) -> Answer[T]:
        """Let a request wait; see `Intake.submit`. One for no rows is answered at once."""
        answer: Answer[T] = Answer()
        if count:
            self._intake.submit(answer, source, count, timeout)
        else:
            limit_of(timeout)
            self._intake.check_open()
            answer.settle(self._work.answer(self._work.nothing()))
        return answer

    def submit_call(self, call: Call[T], source: Source, count: int, timeout: float | None) -> None:
        """Let a request of one row or more wait, whose callback gets the outcome."""
        self._intake.submit(call, source, count, timeout)

    def refusal(self, again: QueueFullError | None = None) -> QueueFullError | None:
        """Why not even one row has room now, counted as a refused request; see `Intake.refusal`."""
        return self._intake.refusal(again)

    def stats(self) -> BatcherStats:
        """Figures until now."""
        intake = self._intake
        with intake.lock:
            return intake.tally.stats(intake.waiting, intake.running)

    def stop(self, drain: bool, breakdown: str | None = None) -> None:
        """Accept nothing more; let the threads end once what waits is done, or at once where it is not to be.

        After a breakdown, nobody is left to deliver what the engine has: that fails with what waits.
        """
        intake = self._intake
        with intake.lock:
            intake.closed = breakdown or intake.closed or CLOSED
            left = [] if drain else intake.drop_all(with_cut=breakdown is not None)
        settle(left)
        intake.engine_bell.put(None)

    def join(self, timeout: float | None = None) -> None:
        """Wait for the threads to end; called by one of them, in a callback, wait for neither: they need each other."""
        if current_thread() in self._threads:
            return
        for thread in self._threads:
            thread.join(timeout)

    def abandon(self) -> None:
        """Finish what was accepted, once nobody can ask for more; takes no lock, for it runs wherever garbage does."""
        self._intake.closed = self._intake.closed or CLOSED
        self._intake.engine_bell.put(None)

    def orphan(self) -> None:
        """In a forked process, which has none of the threads and any of the locks: refuse everything."""
        self._threads = ()
        self._intake.lock = Lock()
        self._intake.closed = FORKED

    def _guarded(self, loop: Callable[[], None]) -> None:
        """A thread that ends for a reason of its own leaves nobody waiting for it."""
        try:
            loop()
        except BaseException as error:
            self.breakdown = repr(error)
            self.stop(drain=False, breakdown=f"this batcher broke down: {error!r}; make another one")
            raise
