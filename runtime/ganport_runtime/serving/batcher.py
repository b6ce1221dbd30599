"""`Batcher` and `Scorer`: one generator or discriminator for many callers at once."""

import weakref
from types import TracebackType
from typing import Any, Generic, Self, SupportsIndex, TypeVar

import numpy as np
from numpy.typing import NDArray

from ganport_runtime.errors import InputError, batch_of, shown, whole_number
from ganport_runtime.latents import LIMIT, image_range
from ganport_runtime.network import Discriminator, Generator
from ganport_runtime.serving.answers import Answer, BatcherStats, QueueFullError, Scores
from ganport_runtime.serving.queue import delay_of
from ganport_runtime.serving.worker import BatchedDiscriminator, BatchedGenerator, BatchedNetwork, BatchWorker, Observe

T = TypeVar("T")
MAX_DELAY = 0.002  # seconds
MAX_QUEUE = 1024  # images


class _Batching(Generic[T]):
    """What both share: everything except how to submit."""

    def __init__(self, network: BatchedNetwork[T], max_delay: float, max_queue: int, observe: Observe | None) -> None:
        if observe is not None and not callable(observe):
            raise InputError(f"observe is {shown(observe)}, wanted a function of one report, or None")
        delay, room = delay_of(max_delay), whole_number("max_queue", max_queue, 1, LIMIT)
        self._worker: BatchWorker[T] = BatchWorker(network, max_delay=delay, max_queue=room, observe=observe)
        weakref.finalize(self, self._worker.abandon).atexit = False

    @property
    def buckets(self) -> tuple[int, ...]:
        """Batch sizes that the engine runs."""
        return self._worker.buckets

    @property
    def note(self) -> str:
        """Which buckets are not used, and why; empty if all are."""
        return self._worker.note

    @property
    def breakdown(self) -> str | None:
        """Why a thread of it failed, so that it refuses everything; None while it works or after `close`."""
        return self._worker.breakdown

    def stats(self) -> BatcherStats:
        """Figures since it was made."""
        return self._worker.queue.stats()

    def refusal(self) -> QueueFullError | None:
        """What `submit` would raise now for one image because the queue is full, counted as refused; else None.

        It takes a microsecond, so a server can refuse a request before it reads the body.
        """
        return self._worker.queue.refusal()

    def close(self, drain: bool = True) -> None:
        """Accept nothing more, and wait until the engine is done; closing twice does no harm.

        With `drain` accepted requests are finished; without it those that wait fail with `ClosedError`.
        """
        self._worker.stop(drain)
        self._worker.join()

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

    Construction warms and measures every bucket. Buckets that make other bytes than the top bucket are not used, as
    `note` says, so an image depends on its seed and index alone. The batcher does not own the generator: close the
    batcher first.

    Args:
        generator: makes the images.
        max_delay: seconds for which a free engine may wait for more requests, where that pays. A single client is
            never delayed.
        max_queue: images that may wait.
        observe: called with a `BatchReport` after each batch, in a thread of the batcher; it should return quickly.

    Raises InputError for settings out of range, PlanError where the top bucket cannot run, ClosedError.
    """

    def __init__(
        self,
        generator: Generator,
        *,
        max_delay: float = MAX_DELAY,
        max_queue: int = MAX_QUEUE,
        observe: Observe | None = None,
    ) -> None:
        super().__init__(BatchedGenerator(generator, (generator.latent_dim,)), max_delay, max_queue, observe)
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
            count: how many, 0 to `max_queue`. More than 64 take turns with other requests.
            seed: 0 to 2^64 - 1.
            start: the first image, 0 to 2^64 - 1.
            timeout: seconds within which they are wanted. A request that would be late is dropped before the engine
                runs it. None: no limit.

        Returns:
            An answer of uint8 [count, height, width, channels], writeable, owned by the caller. It may be a view of a
            batch that is at most twice as large. The answer may raise DeadlineError, PlanError (the engine failed on
            its batch; `__cause__` says why), ClosedError or CancelledError.

        Raises:
            InputError: an argument is no number or out of its range.
            QueueFullError: there is no room for it now; `retry_after` says when there should be.
            DeadlineError: it would be late.
            ClosedError: the batcher is closed.
        """
        key, first, number = image_range(seed, start, count)
        return self._worker.submit((key, first), number, timeout)

    def submit_latents(self, z: NDArray[np.float32], *, timeout: float | None = None) -> Answer[NDArray[np.uint8]]:
        """The same for your own latents, float32 [n, latent_dim], finite; copied if they are writeable."""
        rows = _unshared(batch_of("z", z, "float32", self._shape), z)
        return self._worker.submit(rows, len(rows), timeout)


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
        observe: Observe | None = None,
    ) -> None:
        super().__init__(BatchedDiscriminator(discriminator, discriminator.image_shape), max_delay, max_queue, observe)
        self._shape = discriminator.image_shape

    def submit(self, images: NDArray[np.uint8], *, timeout: float | None = None) -> Answer[Scores]:
        """Ask for logits, float32 [n], and features, float32 [n, F], of images, both from one run.

        Images are uint8 [n, height, width, channels]; copied if they are writeable.
        """
        rows = _unshared(batch_of("images", images, "uint8", self._shape), images)
        return self._worker.submit(rows, len(rows), timeout)


def _unshared(rows: NDArray[Any], given: NDArray[Any]) -> NDArray[Any]:
    """Rows that the caller cannot change while they wait: a copy if they are his array and writeable."""
    return rows.copy() if rows is given and rows.flags.writeable else rows
