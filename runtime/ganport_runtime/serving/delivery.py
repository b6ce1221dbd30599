"""Hands what came out of the engine to those who asked for it, then says what was done."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from numpy.typing import NDArray

from ganport_runtime.checks import allocate
from ganport_runtime.errors import ClosedError, PlanError
from ganport_runtime.serving.answer import settle
from ganport_runtime.serving.intake import Intake
from ganport_runtime.serving.reports import BatchReport
from ganport_runtime.serving.requests import Part, Request
from ganport_runtime.serving.staging import Batch
from ganport_runtime.text import one_line

__all__ = ["Delivery", "Ran"]

T = TypeVar("T")
Outputs = Sequence[NDArray[Any]]
LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ran(Generic[T]):
    """A batch that the engine has done: its outputs, or why there are none."""

    batch: Batch[T]
    outcome: Outputs | Exception
    seconds: float


class Delivery(Generic[T]):
    """Completes answers, in one thread at a time."""

    def __init__(
        self, intake: Intake[T], answer: Callable[[Outputs], T], observe: Callable[[BatchReport], None] | None
    ) -> None:
        self._intake, self._answer, self._observe = intake, answer, observe

    def deliver(self, ran: Ran[T]) -> None:
        """Complete every answer that the batch makes whole, or that its failure spoils."""
        if isinstance(ran.outcome, Exception):
            self.fail(ran.batch.parts, ran.outcome, ran.batch.images)
            with self._intake.lock:
                self._intake.cut.discard(ran.batch)
        else:
            self._complete(ran.batch, ran.outcome)
        if self._observe is not None:
            self._report(ran)

    def fail(self, parts: Sequence[Part[T]], cause: Exception, images: int) -> None:
        """Fail the requests of these parts, whatever else of them is still to come."""
        requests = {id(part.request): part.request for part in parts}.values()
        with self._intake.lock:
            spoiled = [request for request in requests if not request.is_settled]
            for request in spoiled:
                self._intake.drop(request)
            self._intake.tally.failed += len(spoiled)
        settle((request.outlet, _failure(cause, images)) for request in spoiled)

    def _complete(self, batch: Batch[T], outputs: Outputs) -> None:
        """Each request gets its rows; those that have them all are answered."""
        position, whole = 0, []
        for part in batch.parts:
            try:
                request = part.request
                made = self._take(part, outputs, position)
                if made is not None and not request.is_settled:
                    whole.append((request, self._answer(made)))
            except Exception as error:  # no memory for a large one: the others have theirs
                self.fail([part], error, batch.images)
            position += part.count
        with self._intake.lock:
            answered = [(request, made) for request, made in whole if not request.is_settled]
            for request, _ in answered:
                request.is_settled = True
            self._intake.tally.completed += len(answered)
            self._intake.tally.images += batch.images
            self._intake.cut.discard(batch)
        settle((request.outlet, made) for request, made in answered)

    def _take(self, part: Part[T], outputs: Outputs, position: int) -> Outputs | None:
        """The outputs of a request once it has them all, else None."""
        request = part.request
        if part.count == request.count:
            rows = [array[position : position + part.count] for array in outputs]
            if request.outlet.is_brief:
                return rows
            return [_kept(its, array) for its, array in zip(rows, outputs, strict=True)]
        if request.is_settled:
            return None
        if request.results is None:
            request.results = tuple(allocate((request.count, *array.shape[1:]), array.dtype) for array in outputs)
        for result, array in zip(request.results, outputs, strict=True):
            result[part.first : part.first + part.count] = array[position : position + part.count]
        request.done += part.count
        return request.results if request.done == request.count else None

    def _report(self, ran: Ran[T]) -> None:
        """Tell the observer; one that fails is named in the log and not asked again."""
        try:
            if self._observe is not None:
                self._observe(_report(ran))
        except Exception:
            LOG.exception("the observer of a batcher failed, and gets no further reports")
            self._observe = None


def _kept(rows: NDArray[Any], batch: NDArray[Any]) -> NDArray[Any]:
    """Rows of a batch: a copy where a view would keep alive more than twice what it shows."""
    return rows if 2 * len(rows) >= len(batch) else rows.copy()


def _failure(cause: Exception, images: int) -> Exception:
    reason = one_line(str(cause)) or type(cause).__name__
    error: Exception
    if isinstance(cause, ClosedError):
        error = ClosedError(f"a batch of {images} images came too late: {reason}")
    else:
        error = PlanError(f"a batch of {images} images failed: {reason}; ask again, or look for the reason")
    error.__cause__ = cause
    return error


def _report(ran: Ran[Any]) -> BatchReport:
    batch = ran.batch
    requests: dict[int, Request[Any]] = {id(part.request): part.request for part in batch.parts}
    return BatchReport(
        images=batch.images,
        bucket=len(batch.rows),
        requests=len(requests),
        queue_seconds=tuple(batch.started - request.submitted for request in requests.values()),
        latents_seconds=batch.latents_seconds,
        engine_seconds=ran.seconds,
        failed=isinstance(ran.outcome, Exception),
    )
