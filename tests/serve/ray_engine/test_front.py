"""The front without Ray: how jobs share calls, lost replicas, deadlines, cancelled requests, and the end."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from ganport_runtime import PlanError
from ganport_runtime.serving import DeadlineError, QueueFullError
from ganport_serve.engine import Served
from ganport_serve.errors import NotReadyError
from ganport_serve.metrics import Metrics
from ganport_serve.ray_engine import RayEngine
from ganport_serve.ray_engine.values import ErrorValue, Job, LostReplicaError, ReplicaState, WrongBundleError
from ganport_serve.settings import Settings

Jobs = Sequence[tuple[Job, float | None]]
OLD, NEW = "a" * 64, "b" * 64


def state_of(digest: str, complaint: str = "") -> ReplicaState:
    served = Served("b", Path("b"), digest, 4, (2, 2, 3), None, (1, 64), {})
    return ReplicaState("one", 1, served, 0, 0, 100.0, 0, complaint)


class FakeCluster:
    """Replicas whose answers a test decides; pixel values are the image's index, or its index + 100 for `NEW`."""

    is_attached = False

    def __init__(self) -> None:
        self.digests = [OLD]
        self.calls: list[list[Job]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.failures: list[Exception] = []

    async def states(self) -> list[ReplicaState]:
        return [state_of(digest) for digest in self.digests]

    async def work(self, digest: str, jobs: Jobs, timeout: float) -> Any:
        self.calls.append([job for job, _ in jobs])
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        if digest not in self.digests:
            return [ErrorValue.of(WrongBundleError("other"))] * len(jobs), []
        base = 100 * (digest == NEW)
        return [np.full((job.images, 1), base, np.int64) + _index(job) for job, _ in jobs], []

    def close(self) -> None:
        pass


def _index(job: Job) -> Any:
    return np.arange(job.start, job.start + job.images)[:, None]


def on_front(work: Callable[[RayEngine, FakeCluster], Awaitable[Any]], **settings: Any) -> Any:
    async def run() -> Any:
        engine, cluster = RayEngine(Path("b"), Settings(**settings), Metrics()), FakeCluster()
        engine._cluster, engine._reason = cast(Any, cluster), None
        await engine._refresh()
        async with asyncio.timeout(30):
            return await work(engine, cluster)

    return asyncio.run(run())


def test_jobs_that_wait_share_calls_of_at_most_64_images_and_four_calls_are_under_way() -> None:
    async def work(engine: RayEngine, cluster: FakeCluster) -> None:
        cluster.gate.clear()
        tasks = [asyncio.create_task(engine.sample(1, start=index)) for index in range(300)]
        large = asyncio.create_task(engine.sample(130, start=1000))
        await asyncio.sleep(0.05)
        assert [len(jobs) for jobs in cluster.calls] == [64] * 4
        assert engine.load().queued == 300 + 130 - 4 * 64
        cluster.gate.set()
        assert [int(images[0, 0]) for images in await asyncio.gather(*tasks)] == list(range(300))
        assert (await large)[:, 0].tolist() == list(range(1000, 1130))
        assert max(sum(job.images for job in jobs) for jobs in cluster.calls) == 64

    on_front(work)


def test_a_job_of_a_lost_replica_is_sent_again_once() -> None:
    async def work(engine: RayEngine, cluster: FakeCluster) -> None:
        cluster.failures = [LostReplicaError("gone")]
        assert (await engine.sample(3, start=5))[:, 0].tolist() == [5, 6, 7]
        assert len(cluster.calls) == 2
        cluster.failures = [LostReplicaError("gone")] * 2
        with pytest.raises(NotReadyError, match="lost"):
            await engine.sample(3)
        assert len(cluster.calls) == 4

    on_front(work)


def test_an_error_of_a_call_is_that_of_its_requests_alone() -> None:
    async def work(engine: RayEngine, cluster: FakeCluster) -> None:
        cluster.failures = [PlanError("broken")]
        with pytest.raises(PlanError, match="broken"):
            await engine.sample(3)
        assert len(await engine.sample(3)) == 3

    on_front(work)


def test_what_waits_may_be_cancelled_or_late_and_is_bounded() -> None:
    async def work(engine: RayEngine, cluster: FakeCluster) -> None:
        cluster.gate.clear()
        running = []
        for _ in range(4):
            running.append(asyncio.create_task(engine.sample(64)))
            await asyncio.sleep(0.01)
        late = asyncio.create_task(engine.sample(10, timeout=0.05))
        cancelled = asyncio.create_task(engine.sample(20))
        await asyncio.sleep(0.06)
        assert engine.load().queued == 30
        cancelled.cancel()
        await asyncio.sleep(0.01)
        assert engine.load().queued == 10
        with pytest.raises(QueueFullError) as caught:
            await engine.sample(95)
        assert caught.value.retry_after > 0
        cluster.gate.set()
        with pytest.raises(DeadlineError):
            await late
        assert [len(images) for images in await asyncio.gather(*running)] == [64] * 4
        assert len(cluster.calls) == 4  # neither of them cost a replica anything

    on_front(work, max_queue=100)


def test_a_call_for_which_no_request_waits_is_cancelled() -> None:
    async def work(engine: RayEngine, cluster: FakeCluster) -> None:
        cluster.gate.clear()
        tasks = [asyncio.create_task(engine.sample(1)) for _ in range(2)]
        await asyncio.sleep(0.01)
        tasks[0].cancel()
        await asyncio.sleep(0.01)
        assert len(engine._calls) == 1
        tasks[1].cancel()
        await asyncio.sleep(0.01)
        assert not engine._calls

    on_front(work)


def test_requests_get_the_old_bundle_until_every_replica_has_the_new_one() -> None:
    async def work(engine: RayEngine, cluster: FakeCluster) -> None:
        cluster.digests = [OLD, NEW]
        await engine._refresh()
        assert engine.served.digest == OLD
        assert (await engine.sample(2))[:, 0].tolist() == [0, 1]
        cluster.digests = [NEW, NEW]
        assert (await engine.sample(2))[:, 0].tolist() == [100, 101]  # the first try finds no replica with the old one
        assert engine.served.digest == NEW

    on_front(work)


def test_the_served_bundle_stays_while_the_replicas_disagree() -> None:
    async def work(engine: RayEngine, cluster: FakeCluster) -> None:
        cluster.digests = [NEW, "c" * 64]
        await engine._refresh()
        assert engine.served.digest == OLD

    on_front(work)


def test_jobs_of_the_two_networks_share_no_call() -> None:
    async def work(engine: RayEngine, cluster: FakeCluster) -> None:
        kinds = [True, False, False, True]
        await asyncio.gather(*(engine._make([Job(1, examine=examine)], None) for examine in kinds))
        assert [[job.examine for job in jobs] for jobs in cluster.calls] == [[True], [False, False], [True]]

    on_front(work)


def test_closing_finishes_what_was_accepted_or_refuses_it() -> None:
    async def work(engine: RayEngine, cluster: FakeCluster) -> None:
        cluster.gate.clear()
        tasks = [asyncio.create_task(engine.sample(64)) for _ in range(6)]  # four are sent, two wait
        await asyncio.sleep(0.01)
        closing = asyncio.create_task(engine.close())
        await asyncio.sleep(0.01)
        with pytest.raises(NotReadyError):
            await engine.sample(1)
        cluster.gate.set()
        await closing
        assert [len(images) for images in await asyncio.gather(*tasks)] == [64] * 6

    async def refuse(engine: RayEngine, cluster: FakeCluster) -> None:
        cluster.gate.clear()
        tasks = [asyncio.create_task(engine.sample(64)) for _ in range(6)]  # four are sent, two wait
        await asyncio.sleep(0.01)
        await engine.close(drain=False)
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(one, NotReadyError) for one in found)

    on_front(work)
    on_front(refuse)
