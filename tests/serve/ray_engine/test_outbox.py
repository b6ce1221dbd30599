"""How jobs become parcels: together up to the top bucket, in order, never for a job that nobody waits for."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
import pytest
from ganport_runtime.serving import DeadlineError, QueueFullError
from ganport_serve.errors import NotReadyError
from ganport_serve.ray_engine.messages import Delivery, ImageJob, Parcel, SeedJob
from ganport_serve.ray_engine.outbox import UNDER_WAY, LostReplicaError, Outbox
from ganport_serve.ray_engine.troubles import trouble_of
from hypothesis import given
from hypothesis import strategies as st

Replica = Callable[[Parcel], Awaitable[Delivery]]


class Replicas:
    """Replicas that answer with each job's seed, when they are let; `parcels` is what they got.

    `called_back` is set once a parcel was called back before they answered.
    """

    def __init__(self) -> None:
        self.parcels: list[Parcel] = []
        self.lost = 0
        self.open, self.called_back = asyncio.Event(), asyncio.Event()
        self._arrived = asyncio.Semaphore(0)

    async def got(self, count: int) -> None:
        """Wait for so many further parcels."""
        async with asyncio.timeout(30):
            for _ in range(count):
                await self._arrived.acquire()

    async def send(self, parcel: Parcel, timeout: float | None) -> Delivery:
        self.parcels.append(parcel)
        self._arrived.release()
        if self.lost:
            self.lost -= 1
            raise LostReplicaError("gone")
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.called_back.set()
            raise
        return Delivery(
            [np.full(1, job.seed, np.uint8) if isinstance(job, SeedJob) else _busy() for job in parcel.jobs]
        )


async def turn() -> None:
    """Let the event loop do what it was asked to before."""
    await asyncio.sleep(0)


def _busy() -> Any:
    return trouble_of(QueueFullError("full", 0.25))


def outbox(replicas: Replicas, *, max_queue: int = 1000, count: int = 1) -> Outbox:
    return Outbox(replicas.send, replicas=lambda: count, rate=lambda: 100.0, max_queue=max_queue)


def seeds(*images: int) -> list[SeedJob]:
    return [SeedJob(count, seed, 0) for seed, count in enumerate(images)]


@given(st.lists(st.integers(1, 64), min_size=1, max_size=60))
def test_every_job_is_answered_once_and_no_parcel_is_larger_than_the_top_bucket(images: list[int]) -> None:
    async def run() -> tuple[Sequence[Any], Replicas]:
        replicas = Replicas()
        replicas.open.set()
        box = outbox(replicas, max_queue=10_000)
        made = await asyncio.gather(*(future for job in seeds(*images) for future in box.put([job], "d", None)))
        assert box.queued == 0
        return made, replicas

    made, replicas = asyncio.run(run())
    assert [int(one[0]) for one in made] == list(range(len(images)))
    sizes = [sum(job.images for job in parcel.jobs) for parcel in replicas.parcels]
    assert max(sizes) <= 64
    assert sum(sizes) == sum(images)
    assert all(a + b.jobs[0].images > 64 for a, b in zip(sizes, replicas.parcels[1:], strict=False)), (
        "as full as can be"
    )


def test_requests_of_one_turn_share_a_parcel_but_for_role_and_bundle() -> None:
    async def run() -> list[int]:
        replicas = Replicas()
        replicas.open.set()
        box = outbox(replicas)
        images = ImageJob(np.zeros((1, 2, 2, 3), np.uint8))
        futures = [*box.put(seeds(1, 1), "d", None), *box.put(seeds(5), "d", None), *box.put([images], "d", None)]
        futures += [*box.put(seeds(1), "other", None)]
        with pytest.raises(QueueFullError) as caught:
            await asyncio.gather(*futures)
        assert caught.value.retry_after == 0.25
        await box.close(drain=True)
        return [len(parcel.jobs) for parcel in replicas.parcels]

    assert asyncio.run(run()) == [3, 1, 1]


def test_holds_back_what_replicas_could_not_begin_and_refuses_beyond_the_queue() -> None:
    async def run() -> None:
        replicas = Replicas()
        box = outbox(replicas, max_queue=100, count=2)
        futures = []
        for _ in range(2 * UNDER_WAY):
            futures += box.put(seeds(64), "d", None)
            await replicas.got(1)
        futures += box.put(seeds(64, 64, 64), "d", None)
        await turn()
        assert box.queued == 192
        with pytest.raises(QueueFullError, match="192 images wait and 200 may") as caught:
            box.put(seeds(64), "d", None)
        assert caught.value.retry_after > 0
        assert len(replicas.parcels) == 2 * UNDER_WAY
        replicas.open.set()
        await asyncio.gather(*futures)
        assert box.queued == 0

    asyncio.run(run())


def test_cancelled_and_late_jobs_never_leave() -> None:
    async def run() -> None:
        replicas = Replicas()
        box = outbox(replicas)
        futures = box.put(seeds(*[64] * UNDER_WAY), "d", None)
        await replicas.got(UNDER_WAY)
        cancelled, late, kept = (box.put([SeedJob(1, seed, 0)], "d", deadline)[0] for seed, deadline in _cases())
        assert box.queued == 3
        cancelled.cancel()
        await turn()
        assert box.queued == 2
        replicas.open.set()
        assert (await kept)[0] == 9  # type: ignore[index]
        with pytest.raises(DeadlineError, match="dropped"):
            await late
        await asyncio.gather(*futures)
        assert [job.seed for parcel in replicas.parcels[UNDER_WAY:] for job in parcel.jobs] == [9]  # type: ignore[union-attr]

    def _cases() -> list[tuple[int, float | None]]:
        return [(7, None), (8, asyncio.get_running_loop().time()), (9, None)]

    asyncio.run(run())


def test_a_parcel_for_which_nobody_waits_is_called_back() -> None:
    async def run() -> None:
        replicas = Replicas()
        box = outbox(replicas)
        one, two = box.put(seeds(1, 1), "d", None)
        await replicas.got(1)
        one.cancel()
        two.cancel()
        async with asyncio.timeout(30):
            await replicas.called_back.wait()
            await box.close(drain=True)

    asyncio.run(run())


def test_a_parcel_for_which_one_still_waits_goes_on() -> None:
    async def run() -> None:
        replicas = Replicas()
        one, two = outbox(replicas).put(seeds(1, 1), "d", None)
        await replicas.got(1)
        one.cancel()
        await turn()
        replicas.open.set()
        assert (await two)[0] == 1  # type: ignore[index]
        assert not replicas.called_back.is_set()

    asyncio.run(run())


@pytest.mark.parametrize("lost", [1, 2])
def test_lost_jobs_are_sent_once_more(lost: int) -> None:
    async def run() -> None:
        replicas = Replicas()
        replicas.open.set()
        replicas.lost = lost
        futures = outbox(replicas).put(seeds(2, 3), "d", None)
        if lost == 1:
            assert [int(one[0]) for one in await asyncio.gather(*futures)] == [0, 1]  # type: ignore[index]
        else:
            for one in await asyncio.gather(*futures, return_exceptions=True):
                assert isinstance(one, NotReadyError)
                assert one.retry_after > 0
        assert len(replicas.parcels) == 2

    asyncio.run(run())


def test_closing_finishes_or_refuses_what_waits() -> None:
    async def run(*, drain: bool) -> list[Any]:
        replicas = Replicas()
        box = outbox(replicas)
        futures = box.put(seeds(*[64] * 10), "d", None)
        await replicas.got(UNDER_WAY)
        closing = asyncio.create_task(box.close(drain=drain))
        await turn()
        replicas.open.set()
        await closing
        return await asyncio.gather(*futures, return_exceptions=True)

    assert [int(one[0]) for one in asyncio.run(run(drain=True))] == list(range(10))
    assert all(isinstance(one, NotReadyError) for one in asyncio.run(run(drain=False)))
