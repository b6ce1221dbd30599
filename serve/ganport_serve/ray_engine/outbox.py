"""Gathers a front's jobs into parcels: one call to a replica costs a millisecond, whatever it carries.

A job goes out at once while few parcels are under way. Beyond that jobs wait here, where a later one may still join
them, where their order is kept, and where they cost no replica anything when they are cancelled or too late.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from ganport_runtime.buckets import TOP
from ganport_runtime.serving import DeadlineError, QueueFullError

from ganport_serve.errors import DRAINING, NotReadyError
from ganport_serve.ray_engine.messages import Delivery, ImageJob, Job, Made, Parcel
from ganport_serve.ray_engine.troubles import Trouble, error_of

__all__ = ["LostReplicaError", "Outbox"]

UNDER_WAY = 4  # parcels for each replica: one runs, one waits behind it, and one travels either way
TRIES = 2  # replicas that a job is given to; the first may be lost with it


class LostReplicaError(Exception):
    """The replica that had a parcel is gone, and nobody knows what it has made of it."""


@dataclass
class _Entry:
    job: Job
    digest: str
    deadline: float | None  # of the event loop's clock
    future: asyncio.Future[Made]
    tries: int = 0
    is_waiting: bool = False


class Outbox:
    """Sends the jobs of one event loop.

    Args:
        send: brings a parcel to a replica within so many seconds, or None for whenever; raises LostReplicaError.
        replicas: how many serve now.
        rate: images a second that they make together; 0 where that is unknown.
        max_queue: images that may wait here for each replica.
    """

    def __init__(
        self,
        send: Callable[[Parcel, float | None], Awaitable[Delivery]],
        *,
        replicas: Callable[[], int],
        rate: Callable[[], float],
        max_queue: int,
    ) -> None:
        self._send, self._replicas, self._rate, self._max_queue = send, replicas, rate, max_queue
        self._waiting: deque[_Entry] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._queued = 0
        self._is_waking = False

    @property
    def queued(self) -> int:
        """Images that wait."""
        return self._queued

    def put(self, jobs: Sequence[Job], digest: str, deadline: float | None) -> list[asyncio.Future[Made]]:
        """Accept jobs, all or none.

        Returns:
            For each job what will be made of it; cancelled ones leave the queue.

        Raises:
            QueueFullError: too many wait.
        """
        most = self._max_queue * max(1, self._replicas())
        if self._queued and self._queued + sum(job.images for job in jobs) > most:
            seconds = self._queued / max(self._rate(), 1.0)
            raise QueueFullError(f"{self._queued} images wait and {most} may; ask again in {seconds:.1f} s", seconds)
        loop = asyncio.get_running_loop()
        entries = [_Entry(job, digest, deadline, loop.create_future()) for job in jobs]
        for entry in entries:
            self._enter(entry, self._waiting.append)
            entry.future.add_done_callback(partial(self._leave, entry))
        self._wake()
        return [entry.future for entry in entries]

    async def close(self, *, drain: bool) -> None:
        """Finish what waits and is under way where `drain`; refuse it otherwise."""
        if not drain:
            for entry in self._waiting:
                _refuse(entry, NotReadyError(DRAINING))
            for task in self._tasks:
                task.cancel()
        while self._tasks or self._waiting:
            self._flush()
            await asyncio.wait(self._tasks) if self._tasks else await asyncio.sleep(0)

    def _enter(self, entry: _Entry, place: Callable[[_Entry], None]) -> None:
        place(entry)
        entry.is_waiting = True
        self._queued += entry.job.images

    def _leave(self, entry: _Entry, _: object = None) -> None:
        if entry.is_waiting:
            entry.is_waiting = False
            self._queued -= entry.job.images

    def _finished(self, entries: list[_Entry], task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():  # perhaps before it began
            for entry in entries:
                _refuse(entry, NotReadyError(DRAINING))
        self._wake()

    def _wake(self) -> None:
        """Send at the loop's next turn, so that requests of this turn share a parcel."""
        if not self._is_waking:
            self._is_waking = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._is_waking = False
        while len(self._tasks) < UNDER_WAY * max(1, self._replicas()):
            entries = self._taken()
            if not entries:
                return
            task = asyncio.create_task(self._deliver(entries))
            self._tasks.add(task)
            task.add_done_callback(partial(self._finished, entries))
            for entry in entries:
                entry.future.add_done_callback(partial(_stop_unwanted, task, entries))

    def _taken(self) -> list[_Entry]:
        """The next jobs of one bundle and role that together fit the top bucket."""
        entries: list[_Entry] = []
        images, now = 0, asyncio.get_running_loop().time()
        while self._waiting:
            entry = self._waiting[0]
            if entry.future.done() or _is_late(entry, now):
                self._waiting.popleft()
                continue
            if entries and (images + entry.job.images > TOP or _kind(entry) != _kind(entries[0])):
                break
            images += entry.job.images
            self._leave(entry)
            entries.append(self._waiting.popleft())
        return entries

    async def _deliver(self, entries: list[_Entry]) -> None:
        now = asyncio.get_running_loop().time()
        timeouts = [None if entry.deadline is None else entry.deadline - now for entry in entries]
        longest = None if None in timeouts else max(timeout for timeout in timeouts if timeout is not None)
        try:
            parcel = Parcel(entries[0].digest, [entry.job for entry in entries], timeouts)
            delivery = await self._send(parcel, longest)
        except LostReplicaError as error:
            self._again(entries, error)
        except Exception as error:
            for entry in entries:
                _refuse(entry, error)
        else:
            for entry, made in zip(entries, delivery.made, strict=True):
                _settle(entry, made)

    def _again(self, entries: list[_Entry], error: LostReplicaError) -> None:
        """Making images twice does no harm, so lost jobs go to another replica, before all others."""
        for entry in reversed(entries):
            entry.tries += 1
            if entry.tries < TRIES:
                self._enter(entry, self._waiting.appendleft)
            else:
                _refuse(entry, NotReadyError(f"the replicas that had this request were lost ({error}); ask again"))


def _kind(entry: _Entry) -> tuple[str, bool]:
    return entry.digest, isinstance(entry.job, ImageJob)


def _is_late(entry: _Entry, now: float) -> bool:
    if entry.deadline is None or entry.deadline > now:
        return False
    _refuse(entry, DeadlineError("the request waited for a replica until its deadline, and was dropped"))
    return True


def _settle(entry: _Entry, made: Made) -> None:
    if isinstance(made, Trouble):
        _refuse(entry, error_of(made))
    elif not entry.future.done():
        entry.future.set_result(made)


def _refuse(entry: _Entry, error: Exception) -> None:
    if not entry.future.done():
        entry.future.set_exception(error)


def _stop_unwanted(task: asyncio.Task[None], entries: list[_Entry], _: object) -> None:
    """Cancel a parcel for which nobody waits any more."""
    if not task.done() and all(entry.future.cancelled() for entry in entries):
        task.cancel()
