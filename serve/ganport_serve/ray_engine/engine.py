"""The engine of a Ray cluster: splits requests over replicas, and changes their bundle without a mixed answer."""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ganport_runtime import Bundle, BundleError, InputError
from ganport_runtime.checks import batch_of, whole_number
from ganport_runtime.latents import LIMIT, image_range
from ganport_runtime.plan import AUTO
from ganport_runtime.serving import Scores
from numpy.typing import NDArray

from ganport_serve.bundles import Options
from ganport_serve.engine import Load, Served
from ganport_serve.errors import DRAINING, NotReadyError, no_discriminator
from ganport_serve.metrics import Metrics
from ganport_serve.ray_engine import environment
from ganport_serve.ray_engine.change import change_bundle
from ganport_serve.ray_engine.messages import Delivery, ImageJob, Job, LatentJob, Parcel, SeedJob
from ganport_serve.ray_engine.outbox import Outbox
from ganport_serve.ray_engine.troubles import ElsewhereError
from ganport_serve.ray_engine.watch import Watch
from ganport_serve.settings import Settings

if TYPE_CHECKING:  # imports Ray, which takes a second and reads its settings
    from ganport_serve.ray_engine.cluster import Cluster

__all__ = ["RayEngine"]

log = logging.getLogger(__name__)
LOOK = 0.05  # seconds between two looks at what starts
ATTEMPTS = 60  # looks for the bundle that all replicas serve, while they change


class RayEngine:
    """Makes images on the replicas of a Ray cluster; see `Engine` for what every method does.

    Args:
        path: the bundle's directory, the same on every machine.
        settings: of the server; its queue's length is that of each replica.
        metrics: what is counted.
        replicas: how many; where the application is on the cluster already, what is there counts.
        device: as `Generator.open` takes it, like the rest.
        precision: see there.
        backend: see there.
        threads: see there; None shares the cores between the replicas.
        health_period: seconds between two health checks of a replica.
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
        self._watch = Watch(self._states, lambda: self._replicas, self._changed)
        self._outbox = Outbox(
            self._send, replicas=lambda: len(self._watch.states), rate=self._rate, max_queue=settings.max_queue
        )
        self._changing = asyncio.Lock()

    @property
    def served(self) -> Served:
        """What is served now."""
        if self._watch.served is None:
            raise NotReadyError(self.refusal() or "no replica has said what it serves")
        return self._watch.served

    def refusal(self) -> str | None:
        """Why it is not ready, or None."""
        if self._reason is not None:
            return self._reason
        return None if self._watch.states else f"0 of {self._replicas} replicas serve; Ray is replacing them"

    def load(self) -> Load:
        """How busy the replicas were when they last said so, and what waits here."""
        states = self._watch.states
        queued = self._outbox.queued + sum(state.queued for state in states)
        return Load(queued, sum(state.running for state in states), self._rate(), len(states))

    async def start(self) -> None:
        """Start Ray or connect to it, start the replicas, and wait until all of them are warm and probed."""
        path = self._path.resolve()
        digest = (await asyncio.to_thread(_verified, path)).digest
        async with self._changing:
            self._cluster = cluster = await self._connect()
            try:
                if not cluster.is_attached:
                    await asyncio.to_thread(cluster.deploy, str(path), digest)
                await self._all_replicas(cluster)
            except BaseException:
                self._cluster = None
                await asyncio.to_thread(cluster.close)
                raise
            self._reason = None
            self._watch.start()
        if self.served.digest != digest:
            where = {"cluster": str(self.served.path), "given": str(path)}
            log.warning("the application on the cluster serves another bundle than the one given", extra=where)

    async def sample(
        self, count: int, *, seed: int = 0, start: int = 0, timeout: float | None = None
    ) -> NDArray[np.uint8]:
        """The images `start` to `start + count - 1` of a seed."""
        key, first, number = image_range(seed, start, whole_number("count", count, 1, LIMIT))
        return _joined(await self._make(SeedJob.split(number, key, first), timeout))

    async def generate(self, z: NDArray[np.float32], *, timeout: float | None = None) -> NDArray[np.uint8]:
        """The images of latents."""
        rows = _some("z", batch_of("z", z, "float32", (self.served.latent_dim,)))
        return _joined(await self._make(LatentJob.split(rows), timeout))

    async def examine(self, images: NDArray[np.uint8], *, timeout: float | None = None) -> Scores:
        """Logits and features of images."""
        served = self.served
        if served.feature_dim is None:
            raise no_discriminator(served.name)
        rows = _some("images", batch_of("images", images, "uint8", served.image_shape))
        scores: list[Scores] = await self._make(ImageJob.split(rows), timeout)
        return Scores(_joined([one.logits for one in scores]), _joined([one.features for one in scores]))

    async def swap(self, path: Path) -> Served:
        """Change every replica's bundle, one after the other; requests are made of the old one until all are done."""
        async with self._changing:
            cluster, old = self._connection(), self.served
            if cluster.is_attached:
                raise BundleError("this application is the cluster's: change `bundle` in its own user_config")
            new = await asyncio.to_thread(_verified, path.resolve())
            await change_bundle(cluster, self._watch, old, new)
            return self.served

    async def close(self, *, drain: bool = True) -> None:
        """Stop accepting; finish what was accepted where `drain`; delete and end what was started here."""
        self._reason = DRAINING
        try:
            async with asyncio.timeout(self._settings.drain_timeout):
                await self._outbox.close(drain=drain)
        except TimeoutError:
            log.warning("requests were under way for too long", extra={"images": self._outbox.queued})
            await self._outbox.close(drain=False)
        await self._watch.stop()
        async with self._changing:
            cluster, self._cluster = self._cluster, None
            if cluster is not None:
                await asyncio.to_thread(cluster.close)

    async def _connect(self) -> "Cluster":
        """Connect on a thread, while the signals stay this process' own from one moment to the next."""
        connecting = asyncio.create_task(asyncio.to_thread(self._connected))
        while not connecting.done():
            await asyncio.wait([connecting], timeout=LOOK)
            environment.keep_signals()
        return connecting.result()

    def _connected(self) -> "Cluster":
        with environment.undisturbed():
            from ganport_serve.ray_engine.cluster import Cluster
        return Cluster(self._settings, self._options, self._replicas, self._health_period)

    async def _all_replicas(self, cluster: "Cluster") -> None:
        """Wait until as many replicas as are wanted serve one bundle."""
        while True:
            running, self._replicas = await asyncio.to_thread(cluster.wanted)
            if running >= self._replicas > 0:
                await self._watch.refresh()
            if self._reason == DRAINING:
                raise NotReadyError(DRAINING)
            if len(self._watch.states) >= self._replicas > 0 and self._watch.served is not None:
                return
            self._reason = f"{running} of {self._replicas} replicas serve; Ray is starting the others"
            await asyncio.sleep(LOOK)

    async def _make(self, jobs: Sequence[Job], timeout: float | None) -> list[Any]:
        """What is made of the jobs, all of it of one bundle."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (self._settings.request_timeout if timeout is None else timeout)
        for _ in range(ATTEMPTS):
            reason = self.refusal()
            if reason is not None:
                raise NotReadyError(reason)
            futures = self._outbox.put(jobs, self.served.digest, deadline)
            try:
                return await asyncio.gather(*futures)
            except ElsewhereError:
                await self._watch.refresh()
                await asyncio.sleep(LOOK)
            finally:
                for future in futures:
                    future.cancel()
        raise NotReadyError("the replicas are changing their bundle; ask again")

    async def _send(self, parcel: Parcel, timeout: float | None) -> Delivery:
        delivery = await self._connection().send(parcel, timeout)
        for role, report in delivery.reports:
            self._metrics.batch(role, report)
        return delivery

    async def _states(self) -> Sequence[Any]:
        return await self._connection().states()

    def _connection(self) -> "Cluster":
        if self._cluster is None:
            raise NotReadyError(self.refusal() or DRAINING)
        return self._cluster

    def _rate(self) -> float:
        return sum(state.images_per_second for state in self._watch.states)

    def _changed(self, served: Served) -> None:
        for role in ("generator", "discriminator"):
            self._metrics.plan(role, served.plans.get(role))
        log.info("serving a bundle", extra={"bundle": served.name, "digest": served.digest, "path": str(served.path)})


def _verified(path: Path) -> Bundle:
    bundle = Bundle.open(path)
    bundle.verify()
    return bundle


def _some(name: str, rows: NDArray[Any]) -> NDArray[Any]:
    if len(rows) == 0:
        raise InputError(f"{name} holds no rows, wanted 1 or more")
    return rows


def _joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
