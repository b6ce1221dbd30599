"""`Batcher` and `Scorer`: one generator or discriminator for many callers at once."""

import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, Self, SupportsIndex, TypeVar

import numpy as np
from numpy.typing import NDArray

from ganport_runtime.checks import batch_of, whole_number
from ganport_runtime.discriminator import Discriminator
from ganport_runtime.errors import InputError
from ganport_runtime.generator import Generator
from ganport_runtime.latents import LIMIT, image_range
from ganport_runtime.serving.answer import Answer, Call
from ganport_runtime.serving.core import Core
from ganport_runtime.serving.errors import QueueFullError
from ganport_runtime.serving.reports import BatcherStats, BatchReport, Scores
from ganport_runtime.serving.seconds import delay_of
from ganport_runtime.serving.work import Examining, Generating, Work
from ganport_runtime.text import shown

__all__ = ["Batcher", "Scorer"]

T = TypeVar("T")
Observer = Callable[[BatchReport], None]
MAX_DELAY = 0.002  # seconds
MAX_QUEUE = 1024  # images


class _Batching(Generic[T]):
    """What both share: everything but how to submit."""

    def __init__(self, work: Work[T], max_delay: float, max_queue: int, observe: Observer | None) -> None:
        if observe is not None and not callable(observe):
            raise InputError(f"observe is {shown(observe)}, wanted a function of one report, or None")
        delay, room = delay_of(max_delay), whole_number("max_queue", max_queue, 1, LIMIT)
        self._core: Core[T] = Core(work, max_delay=delay, max_queue=room, observe=observe)
        weakref.finalize(self, self._core.abandon).atexit = False

    @property
    def buckets(self) -> tuple[int, ...]:
        """Batch sizes that the engine runs."""
        return self._core.buckets

    @property
    def note(self) -> str:
        """What there is to say: which buckets are not used, and why; empty where all are."""
        return self._core.note

    @property
    def breakdown(self) -> str | None:
        """Why it broke down, so that it refuses everything; None, as it should be, where it works or was closed."""
        return self._core.breakdown

    def stats(self) -> BatcherStats:
        """Figures since it was made."""
        return self._core.stats()

    def refusal(self, again: QueueFullError | None = None) -> QueueFullError | None:
        """What `submit` would raise of one image now because the queue is full, counted as refused; else None.

        For servers: to ask costs a microsecond, so that what has to be refused need not be read first.

        Args:
            again: an earlier refusal that still says it well enough, to be returned in place of a new one.
        """
        return self._core.refusal(again)

    def close(self, drain: bool = True) -> None:
        """Accept nothing more, and wait until the engine is done; closing twice does no harm.

        Args:
            drain: whether what was accepted is finished; else what waits fails with `ClosedError`.
        """
        self._core.stop(drain)
        self._core.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Batcher(_Batching[NDArray[np.uint8]]):
    """Makes images for any number of threads and event loops with one generator, in batches.

    Example:
        with Generator.open("emoji.ganport") as generator, Batcher(generator) as batcher:
            images = batcher.submit(4, seed=7).result()
            images = await batcher.submit(4, seed=7)

    Making it warms and measures every bucket. It owns nothing: close it before the generator. What a seed and an index
    make does not depend on what else is in the batch: buckets of which that is not so are left out, as `note` says.

    Args:
        generator: what makes the images; opened with `one_plan=True` all its buckets make the same bytes.
        max_delay: seconds for which a free engine may wait for more, where that pays; it never does where nothing came
            back soon after earlier runs.
        max_queue: images that may wait.
        observe: called with a report after each batch, in a thread of the batcher's, which it should not keep long.

    Raises:
        InputError: a setting is no number or out of its range.
        PlanError: the top bucket cannot run.
        ClosedError: the generator is closed.
    """

    def __init__(
        self,
        generator: Generator,
        *,
        max_delay: float = MAX_DELAY,
        max_queue: int = MAX_QUEUE,
        observe: Observer | None = None,
    ) -> None:
        super().__init__(Generating(generator), max_delay, max_queue, observe)
        self._shape = (generator.latent_dim,)

    def submit(
        self,
        count: SupportsIndex = 1,
        *,
        seed: SupportsIndex = 0,
        start: SupportsIndex = 0,
        timeout: float | None = None,
    ) -> Answer[NDArray[np.uint8]]:
        """Ask for the images `start` to `start + count - 1` of a seed, equal to those of `Generator.sample`.

        Args:
            count: how many, 0 to `max_queue`; more than the top bucket take turns with what others ask for.
            seed: 0 to 2^64 - 1.
            start: the first image, 0 to 2^64 - 1.
            timeout: seconds within which they are wanted; a request that would be late is dropped before it costs the
                engine anything. None: whenever.

        Returns:
            uint8 [count, height, width, channels], the caller's to keep and to write to; a view into a batch where that
            is no more than twice as large.

        Raises:
            InputError: an argument is no number or out of its range.
            QueueFullError: there is no room for it now; `retry_after` says when there should be.
            DeadlineError: it would be late.
            ClosedError: the batcher is closed.

        The answer raises DeadlineError, PlanError (the engine failed on its batch; `__cause__` is why), ClosedError or
        CancelledError where it comes to that later.
        """
        key, first, number = image_range(seed, start, count)
        return self._core.submit((key, first), number, timeout)

    def submit_call(
        self,
        callback: Callable[[NDArray[np.uint8] | BaseException], object],
        count: int,
        *,
        seed: int = 0,
        start: int = 0,
        timeout: float | None = None,
        is_brief: bool = False,
    ) -> Call[NDArray[np.uint8]]:
        """`submit` for servers, of one image or more: images or the error go to a callback on the running event loop.

        The callback is not called once the call was cancelled. Where it `is_brief`, it is done with the images when it
        returns: they may be a view that keeps a whole batch in memory. What `submit` raises at once, this does too.
        """
        key, first, number = image_range(seed, start, count)
        call: Call[NDArray[np.uint8]] = Call(callback, is_brief=is_brief)
        self._core.submit_call(call, (key, first), number, timeout)
        return call

    def submit_latents(self, z: NDArray[np.float32], *, timeout: float | None = None) -> Answer[NDArray[np.uint8]]:
        """Ask for the images of your own latents.

        Args:
            z: float32 [n, latent_dim], finite; copied where it can be written to.
            timeout: as for `submit`.

        Returns:
            uint8 [n, height, width, channels], as for `submit`.

        Raises:
            InputError: `z` has another dtype or shape, holds NaN or infinity, or has more rows than `max_queue`.
            QueueFullError: there is no room for it now; `retry_after` says when there should be.
            DeadlineError: it would be late.
            ClosedError: the batcher is closed.

        The answer raises DeadlineError, PlanError (the engine failed on its batch; `__cause__` is why), ClosedError or
        CancelledError where it comes to that later.
        """
        rows = _kept(batch_of("z", z, "float32", self._shape), z)
        return self._core.submit(rows, len(rows), timeout)

    def submit_latents_call(
        self,
        callback: Callable[[NDArray[np.uint8] | BaseException], object],
        z: NDArray[np.float32],
        *,
        timeout: float | None = None,
        is_brief: bool = False,
    ) -> Call[NDArray[np.uint8]]:
        """`submit_latents` for servers, as `submit_call` is `submit`; `z` has one row or more."""
        rows = _kept(batch_of("z", z, "float32", self._shape), z)
        call: Call[NDArray[np.uint8]] = Call(callback, is_brief=is_brief)
        self._core.submit_call(call, rows, len(rows), timeout)
        return call


class Scorer(_Batching[Scores]):
    """Scores and embeds images for any number of threads and event loops with one discriminator, in batches.

    Settings and errors are those of `Batcher`.
    """

    def __init__(
        self,
        discriminator: Discriminator,
        *,
        max_delay: float = MAX_DELAY,
        max_queue: int = MAX_QUEUE,
        observe: Observer | None = None,
    ) -> None:
        super().__init__(Examining(discriminator), max_delay, max_queue, observe)
        self._shape = discriminator.image_shape

    def submit(self, images: NDArray[np.uint8], *, timeout: float | None = None) -> Answer[Scores]:
        """Ask for logits and features of images, both of one run.

        Args:
            images: uint8 [n, height, width, channels]; copied where they can be written to.
            timeout: as for `Batcher.submit`.

        Returns:
            Logits, float32 [n], and features, float32 [n, F].

        Raises:
            InputError: the images have another dtype or shape, or are more than `max_queue`.
            QueueFullError: there is no room for it now; `retry_after` says when there should be.
            DeadlineError: it would be late.
            ClosedError: the batcher is closed.

        The answer raises DeadlineError, PlanError (the engine failed on its batch; `__cause__` is why), ClosedError or
        CancelledError where it comes to that later.
        """
        rows = _kept(batch_of("images", images, "uint8", self._shape), images)
        return self._core.submit(rows, len(rows), timeout)


def _kept(rows: NDArray[Any], given: NDArray[Any]) -> NDArray[Any]:
    """Rows that the caller does not change while they wait: his own only where they cannot be written to."""
    return rows.copy() if rows is given and rows.flags.writeable else rows
