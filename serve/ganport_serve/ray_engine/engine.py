"""The engine of a Ray cluster, as a server sees it: sends jobs to replicas, and changes their bundle.

A call to a replica costs the front more than a millisecond whatever it carries. So jobs that wait share calls of at
most 64 images, four under way for each replica: 64 one-image clients got 3,965 images/s in place of 252.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ganport_runtime import Bundle, BundleError, InputError, PlanError
from ganport_runtime.batches import TOP, parts
from ganport_runtime.errors import batch_of, whole_number
from ganport_runtime.latents import LIMIT, image_range
from ganport_runtime.plan import AUTO
from ganport_runtime.serving import DeadlineError, QueueFullError, Scores
from numpy.typing import NDArray

from ganport_serve.bundles import Options
from ganport_serve.engine import Load, Served
from ganport_serve.errors import DRAINING, NotReadyError, no_discriminator
from ganport_serve.metrics import Metrics
from ganport_serve.ray_engine import environment
from ganport_serve.ray_engine.values import UNDER_WAY, ErrorValue, Job, LostReplicaError, ReplicaState, WrongBundleError
from ganport_serve.settings import Settings

if TYPE_CHECKING:  # imports Ray, which takes a second and reads its settings from the environment
    from ganport_serve.ray_engine.application import Cluster

log = logging.getLogger(__name__)
LOOK = 0.05  # seconds between two looks at replicas that start or change
PERIOD, PERIOD_EACH = 1.0, 0.02  # seconds between two looks at replicas that serve; the latter for each of them
AGREED = 3  # looks after which a bundle is taken as that of all replicas, though not all have answered
TRIES = 2  # replicas that a job is given to; the first may be lost with it
ATTEMPTS = 60  # times that a request looks for replicas with its bundle, while they change


class _WaitingJob:
    """A job of one request, until a replica has done it."""

    def __init__(self, job: Job, digest: str, deadline: float) -> None:
        self.job, self.digest, self.deadline = job, digest, deadline
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.tries, self.is_waiting = 0, False

    def settle(self, outcome: Any) -> None:
        """Complete it with images, scores or an error."""
        if not self.future.done():
            if isinstance(outcome, ErrorValue):
                outcome = outcome.error()
            if isinstance(outcome, BaseException):
                self.future.set_exception(outcome)
            else:
                self.future.set_result(outcome)


class RayEngine:
    """Makes images on the replicas of a Ray cluster; `Engine` describes every method.

    `threads`: as `Generator.open` takes it; None shares the cores between the replicas. `health_period`: seconds
    between two health checks of a replica.
    """

    kind = "ray"

    def __init__(
        self,
        path: Path,
        settings: Settings,
        metrics: Metrics,
        *,
        replicas: int = 1,
        device: str = AUTO,
        precision: str = AUTO,
        backend: str = AUTO,
        threads: int | None = None,
        health_period: float = 5.0,
    ) -> None:
        environment.prepare()
        self._path, self._settings, self._metrics = path, settings, metrics
        self._options = Options(device, precision, backend, threads)
        self._replicas = whole_number("replicas", replicas, 1, 100_000)
        self._health_period = health_period
        self._reason: str | None = f"Ray is starting {replicas} replicas of {path.name}"
        self._cluster: Cluster | None = None
        self._states: Sequence[ReplicaState] = ()
        self._served: Served | None = None  # what all replicas serve
        self._agreed = 0  # looks in which all replicas that answered served another bundle than `_served`
        self._target: dict[str, str] = {}  # the `user_config` that replicas should have
        self._waiting: deque[_WaitingJob] = deque()
        self._queued = 0  # images in it
        self._calls: set[asyncio.Task[None]] = set()
        self._watching: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()

    @property
    def served(self) -> Served:
        """What is served now."""
        if self._served is None:
            raise NotReadyError(self.refusal() or "no replica has said what it serves")
        return self._served

    def refusal(self) -> str | None:
        """Why it is not ready, or None."""
        if self._reason is not None:
            return self._reason
        return None if self._states else f"0 of {self._replicas} replicas serve; Ray is replacing them"

    def load(self) -> Load:
        """How busy the replicas were when they last answered, and what waits here."""
        queued = self._queued + sum(state.queued for state in self._states)
        running = sum(state.running for state in self._states)
        return Load(queued, running, self._rate(), len(self._states))

    async def start(self) -> None:
        """Start Ray or connect to it, start the replicas, and wait until all of them are ready."""
        path = self._path.resolve()
        digest = (await asyncio.to_thread(_verified, path)).digest
        self._target = {"bundle": str(path), "digest": digest}
        async with self._changing:
            self._cluster = cluster = await self._connect()
            try:
                if not cluster.is_attached:
                    await asyncio.to_thread(cluster.deploy, self._target)
                await self._all_replicas(cluster)
            except BaseException:
                self._cluster = None
                await asyncio.to_thread(cluster.close)
                raise
            self._reason = None
            self._watching = asyncio.create_task(self._watch())
        if self.served.digest != digest:
            where = {"cluster": str(self.served.path), "given": str(path)}
            log.warning("the application on the cluster serves another bundle than the one given", extra=where)

    async def sample(
        self, count: int, *, seed: int = 0, start: int = 0, timeout: float | None = None
    ) -> NDArray[np.uint8]:
        """The images `start` to `start + count - 1` of a seed."""
        key, first, number = image_range(seed, start, whole_number("count", count, 1, LIMIT))
        return _joined(await self._make([Job(p.stop - p.start, key, first + p.start) for p in parts(number)], timeout))

    async def generate(self, z: NDArray[np.float32], *, timeout: float | None = None) -> NDArray[np.uint8]:
        """The images of latents."""
        rows = _not_empty("z", batch_of("z", z, "float32", (self.served.latent_dim,)))
        return _joined(await self._make([Job(len(rows[p]), rows=rows[p]) for p in parts(len(rows))], timeout))

    async def examine(self, images: NDArray[np.uint8], *, timeout: float | None = None) -> Scores:
        """Logits and features of images."""
        served = self.served
        if served.feature_dim is None:
            raise no_discriminator(served.name)
        rows = _not_empty("images", batch_of("images", images, "uint8", served.image_shape))
        jobs = [Job(len(rows[p]), rows=rows[p], examine=True) for p in parts(len(rows))]
        scores: list[Scores] = await self._make(jobs, timeout)
        return Scores(_joined([one.logits for one in scores]), _joined([one.features for one in scores]))

    async def swap(self, path: Path) -> Served:
        """Change the bundle of every replica. Requests get the old one until all replicas have the new one.

        Raises BundleError, PlanError: why it was not taken; every replica serves the old one. Raises NotReadyError: it
        took too long, because replicas were lost meanwhile.
        """
        async with self._changing:
            cluster, old, former = self._connection(), self.served, self._target
            if cluster.is_attached:
                raise BundleError("this application is the cluster's: change `bundle` in its own user_config")
            new = await asyncio.to_thread(_verified, path.resolve())
            if new.digest == old.digest:
                return old
            self._target = {"bundle": str(new.path), "digest": new.digest}
            try:
                await cluster.reconfigure(self._target)
                for _ in range(ATTEMPTS):
                    await self._refresh()
                    complaint = next((state.complaint for state in self._states if state.complaint), None)
                    if complaint is not None:
                        raise PlanError(f"one replica did not take the bundle, so all keep the old one: {complaint}")
                    if self.served.digest == new.digest:
                        return self.served
                    await asyncio.sleep(LOOK)
                raise NotReadyError("not all replicas took the bundle; replicas were lost meanwhile")
            except BaseException:
                self._target = former
                await cluster.reconfigure(former)
                raise

    async def close(self, *, drain: bool = True) -> None:
        """Stop accepting; finish accepted requests if `drain`; end what was started here."""
        self._reason = DRAINING
        if drain:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.drain_timeout):
                    while self._waiting or self._calls:
                        await asyncio.sleep(LOOK)
        if self._waiting or self._calls:
            log.warning("requests were under way for too long", extra={"images": self._queued})
        while self._waiting:
            self._leave(self._waiting[0]).settle(NotReadyError(DRAINING))
        tasks = [*self._calls, *([] if self._watching is None else [self._watching])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with self._changing:
            cluster, self._cluster = self._cluster, None
            if cluster is not None:
                await asyncio.to_thread(cluster.close)

    async def _make(self, jobs: Sequence[Job], timeout: float | None) -> list[Any]:
        """What the jobs make, all of it with one bundle."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (self._settings.request_timeout if timeout is None else timeout)
        for _ in range(ATTEMPTS):
            reason = self.refusal()
            if reason is not None:
                raise NotReadyError(reason)
            self._check_room(sum(job.images for job in jobs))
            waiting = [_WaitingJob(job, self.served.digest, deadline) for job in jobs]
            for one in waiting:
                self._enter(one)
            loop.call_soon(self._send)  # jobs of this turn of the loop share a call
            try:
                return await asyncio.gather(*(one.future for one in waiting))
            except WrongBundleError:
                await self._refresh()
                await asyncio.sleep(LOOK)
            finally:
                for one in waiting:
                    one.future.cancel()
                    if one.is_waiting:
                        self._leave(one)
        raise NotReadyError("the replicas are changing their bundle; ask again")

    def _check_room(self, images: int) -> None:
        most, queued = self._settings.max_queue * max(1, len(self._states)), self._queued
        if queued and queued + images > most:
            seconds = queued / max(self._rate(), 1.0)
            raise QueueFullError(f"{queued} images wait and {most} may; ask again in {seconds:.1f} s", seconds)

    def _enter(self, one: _WaitingJob, *, first: bool = False) -> None:
        self._waiting.appendleft(one) if first else self._waiting.append(one)
        self._queued += one.job.images
        one.is_waiting = True

    def _leave(self, one: _WaitingJob) -> _WaitingJob:
        self._waiting.remove(one)  # in nearly all cases the first one
        self._queued -= one.job.images
        one.is_waiting = False
        return one

    def _rate(self) -> float:
        return sum(state.images_per_second for state in self._states)

    def _send(self) -> None:
        while len(self._calls) < UNDER_WAY * max(1, len(self._states)):
            jobs = self._next_jobs()
            if not jobs:
                return
            call = asyncio.create_task(self._call(jobs))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)
            call.add_done_callback(lambda _: self._send())
            for one in jobs:
                one.future.add_done_callback(partial(_cancel_unwanted, call, jobs))

    def _next_jobs(self) -> list[_WaitingJob]:
        """The next jobs of one bundle and network that together fit one batch."""
        jobs: list[_WaitingJob] = []
        images, now = 0, asyncio.get_running_loop().time()
        while self._waiting:
            one = self._waiting[0]
            if one.deadline <= now:
                one.settle(DeadlineError("the request waited for a replica until its deadline, and was dropped"))
            differs = jobs and (one.digest, one.job.examine) != (jobs[0].digest, jobs[0].job.examine)
            if differs or (jobs and images + one.job.images > TOP):
                break
            self._leave(one)
            if not one.future.done():
                jobs.append(one)
                images += one.job.images
        return jobs

    async def _call(self, jobs: list[_WaitingJob]) -> None:
        """Bring jobs to a replica. Images can be made twice, so the jobs of a lost replica go to another one."""
        now = asyncio.get_running_loop().time()
        work = [(one.job, one.deadline - now) for one in jobs]
        try:
            outcomes, reports = await self._connection().work(jobs[0].digest, work, max(timeout for _, timeout in work))
        except LostReplicaError as error:
            for one in reversed(jobs):
                one.tries += 1
                if one.tries < TRIES:
                    self._enter(one, first=True)
                else:
                    text = f"the replicas that had this request were lost ({error}); ask again"
                    one.settle(NotReadyError(text))
        except asyncio.CancelledError:
            for one in jobs:
                one.settle(NotReadyError(DRAINING))
            raise
        except Exception as error:
            for one in jobs:
                one.settle(error)
        else:
            for one, outcome in zip(jobs, outcomes, strict=True):
                one.settle(outcome)
            for role, report in reports:
                self._metrics.batch(role, report)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(max(PERIOD, PERIOD_EACH * len(self._states)))
            count = len(self._states)
            try:
                await self._refresh()
                digests = {state.served.digest for state in self._states}
                if (
                    not self._connection().is_attached
                    and not self._changing.locked()
                    and digests - {self.served.digest}
                ):
                    # Ray has replaced a replica, which serves the first bundle again
                    await self._connection().reconfigure(self._target)
            except Exception as error:  # of Ray; the next look may succeed
                text = f"{type(error).__name__}: {error}"
                log.warning("the replicas did not say how they are", extra={"error": text})
            if len(self._states) != count:
                log.warning("another number of replicas than before", extra={"before": count, "now": len(self._states)})

    async def _refresh(self) -> None:
        """Ask the replicas how they are; take another bundle as served when all of them have it."""
        cluster = self._connection()
        self._states = await cluster.states()
        served = {state.served.digest: state.served for state in self._states}
        if len(served) != 1 or (self._served is not None and self._served.digest in served):
            self._agreed = 0
            return
        self._agreed += 1  # a replica that changes its bundle cannot always answer, so some that agree are not all
        if len(self._states) >= self._replicas or self._agreed >= AGREED:
            (self._served,) = served.values()
            for role in ("generator", "discriminator"):
                self._metrics.plan(role, self._served.plans.get(role))
            said = {"bundle": self._served.name, "digest": self._served.digest, "path": str(self._served.path)}
            log.info("serving a bundle", extra=said)

    async def _connect(self) -> "Cluster":
        """Connect on a thread, and keep this process' own signal handlers meanwhile."""
        connecting = asyncio.create_task(asyncio.to_thread(self._connected))
        while not connecting.done():
            await asyncio.wait([connecting], timeout=LOOK)
            environment.keep_signals()
        return connecting.result()

    def _connected(self) -> "Cluster":
        with environment.undisturbed():
            from ganport_serve.ray_engine.application import Cluster
        return Cluster(self._settings, self._options, self._replicas, self._health_period)

    async def _all_replicas(self, cluster: "Cluster") -> None:
        """Wait until as many replicas as are wanted serve one bundle."""
        while True:
            running, self._replicas = await asyncio.to_thread(cluster.wanted)
            if running >= self._replicas > 0:
                await self._refresh()
            if self._reason == DRAINING:
                raise NotReadyError(DRAINING)
            if len(self._states) >= self._replicas > 0 and self._served is not None:
                return
            self._reason = f"{running} of {self._replicas} replicas serve; Ray is starting the others"
            await asyncio.sleep(LOOK)

    def _connection(self) -> "Cluster":
        if self._cluster is None:
            raise NotReadyError(self.refusal() or DRAINING)
        return self._cluster


def _cancel_unwanted(call: asyncio.Task[None], jobs: Sequence[_WaitingJob], _: object) -> None:
    if not call.done() and all(one.future.cancelled() for one in jobs):
        call.cancel()


def _verified(path: Path) -> Bundle:
    bundle = Bundle.open(path)
    bundle.verify()
    return bundle


def _not_empty(name: str, rows: NDArray[Any]) -> NDArray[Any]:
    if len(rows) == 0:
        raise InputError(f"{name} holds no rows, wanted 1 or more")
    return rows


def _joined(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
