"""The engine of this process: a bundle's networks behind batchers, and how another bundle takes over."""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from ganport_runtime import Discriminator, Generator, PlanError
from ganport_runtime.plan import AUTO
from ganport_runtime.serving import Batcher, Scorer, Scores
from numpy.typing import NDArray

from ganport_serve.engine import Load, Served
from ganport_serve.errors import DRAINING, NotReadyError, no_discriminator
from ganport_serve.metrics import Metrics
from ganport_serve.settings import Settings

log = logging.getLogger(__name__)
T = TypeVar("T")
ROLES = ("generator", "discriminator")
LOADING = "ganport-loading"  # the name of threads that load a bundle


@dataclass(frozen=True)
class Options:
    """How networks are opened; as `Generator.open` takes them. They are the generator's: see `Loaded`."""

    device: str = AUTO
    precision: str = AUTO
    backend: str = AUTO
    threads: int | None = None


class Loaded:
    """A bundle's generator and, where it has one, its discriminator, each with its batcher.

    Both run one plan for all batch sizes, so that what is made does not depend on who else asks. The discriminator
    runs with the generator's options where it can, and otherwise in its own precision by its own backend.

    Attributes:
        served: what it is.
        batcher: makes images.
        scorer: examines images; None where the bundle has no discriminator.
    """

    def __init__(self, path: Path, settings: Settings, metrics: Metrics, options: Options) -> None:
        """Open, warm and probe; takes seconds.

        Raises:
            BundleError: the bundle cannot be trusted.
            PlanError: nothing here can run it.
        """
        limits: dict[str, Any] = {"max_delay": settings.max_delay, "max_queue": settings.max_queue}
        self._networks: list[Generator | Discriminator] = []
        self._batchers: list[Batcher | Scorer] = []
        try:
            generator = Generator.open(path, one_plan=True, **asdict(options))
            self._networks.append(generator)
            self.batcher = Batcher(generator, **limits, observe=partial(metrics.batch, "generator"))
            self._batchers.append(self.batcher)
            self.scorer: Scorer | None = None
            if generator.bundle.manifest.discriminator is not None:
                discriminator = _open_discriminator(path, options)
                self._networks.append(discriminator)
                self.scorer = Scorer(discriminator, **limits, observe=partial(metrics.batch, "discriminator"))
                self._batchers.append(self.scorer)
        except BaseException:
            self.close(drain=False)
            raise
        self.served = self._served(path, generator)

    def _served(self, path: Path, generator: Generator) -> Served:
        bundle = generator.bundle
        discriminator = bundle.manifest.discriminator
        return Served(
            name=bundle.manifest.name,
            path=path,
            digest=bundle.digest,
            latent_dim=generator.latent_dim,
            image_shape=generator.image_shape,
            feature_dim=None if discriminator is None else discriminator.features.dim,
            buckets=self.batcher.buckets,
            plans={network.role: str(network.plan) for network in self._networks},
        )

    @property
    def breakdown(self) -> str | None:
        """Why one of its batchers broke down, or None."""
        for batcher in self._batchers:
            if batcher.breakdown is not None:
                return batcher.breakdown
        return None

    @property
    def notes(self) -> dict[str, str]:
        """What there is to say of each role's batcher, where there is something."""
        pairs = zip(self._networks, self._batchers, strict=True)
        return {network.role: batcher.note for network, batcher in pairs if batcher.note}

    def close(self, *, drain: bool = True) -> None:
        """Finish what was accepted where `drain`, then let go of the networks; takes as long as that takes."""
        for batcher in self._batchers:
            batcher.close(drain=drain)
        for network in self._networks:
            network.close()


def _open_discriminator(path: Path, options: Options) -> Discriminator:
    try:
        return Discriminator.open(path, one_plan=True, **asdict(options))
    except PlanError as error:
        own = replace(options, precision=AUTO, backend=AUTO)
        if own == options:
            raise
        discriminator = Discriminator.open(path, one_plan=True, **asdict(own))
        said = {"asked": asdict(options), "plan": str(discriminator.plan), "reason": str(error)}
        log.warning("the discriminator does not run as asked", extra=said)
        return discriminator


class LocalEngine:
    """Batches the requests of one event loop on networks of this process.

    Every request runs on the bundle that was served when it came: `submit` accepts it before anything else may happen
    on the loop, and a bundle that was replaced finishes what it accepted.

    Args:
        path: the bundle's directory.
        settings: of the server.
        metrics: what is counted.
        device: as `Generator.open` takes it, like the rest.
        precision: see there.
        backend: see there.
        threads: see there.
    """

    kind = "local"

    def __init__(
        self,
        path: Path,
        settings: Settings,
        metrics: Metrics,
        *,
        device: str = AUTO,
        precision: str = AUTO,
        backend: str = AUTO,
        threads: int | None = None,
    ) -> None:
        self._path, self._settings, self._metrics = path, settings, metrics
        self._options = Options(device, precision, backend, threads)
        self._loaded: Loaded | None = None
        self._reason = f"the server is starting: it opens, warms and probes {path.name}"
        self._swapping = asyncio.Lock()
        self._retiring: set[asyncio.Task[None]] = set()

    @property
    def served(self) -> Served:
        """What is served now."""
        return self._present().served

    def refusal(self) -> str | None:
        """Why it is not ready, or None."""
        if self._loaded is None:
            return self._reason
        breakdown = self._loaded.breakdown
        return (
            None
            if breakdown is None
            else f"a batcher broke down ({breakdown}); load a bundle, or start the server again"
        )

    def load(self) -> Load:
        """How busy it is."""
        if self._loaded is None:
            return Load(0, 0, 0.0)
        generator = self._loaded.batcher.stats()
        queued, running = generator.queued, generator.running
        if self._loaded.scorer is not None:
            scorer = self._loaded.scorer.stats()
            queued, running = queued + scorer.queued, running + scorer.running
        return Load(queued, running, generator.images_per_second)

    async def start(self) -> None:
        """Open the bundle, warm every bucket of every model and pass the probe."""
        async with self._swapping:
            self._take(await self._open(self._path))

    async def sample(
        self, count: int, *, seed: int = 0, start: int = 0, timeout: float | None = None
    ) -> NDArray[np.uint8]:
        """The images `start` to `start + count - 1` of a seed, one or more."""
        return await self._working().batcher.submit(count, seed=seed, start=start, timeout=timeout)

    async def generate(self, z: NDArray[np.float32], *, timeout: float | None = None) -> NDArray[np.uint8]:
        """The images of latents, one or more."""
        return await self._working().batcher.submit_latents(z, timeout=timeout)

    async def examine(self, images: NDArray[np.uint8], *, timeout: float | None = None) -> Scores:
        """Logits and features of images."""
        scorer = self._working().scorer
        if scorer is None:
            raise no_discriminator(self.served.name)
        return await scorer.submit(images, timeout=timeout)

    async def swap(self, path: Path) -> Served:
        """Load, warm and probe another bundle beside the present one, then let it take over between two batches."""
        async with self._swapping:  # one at a time: two more networks in memory at most
            old = self._present()
            new = await self._open(path)
            if self._loaded is None:  # it was closed meanwhile
                await asyncio.to_thread(new.close)
                raise NotReadyError(self._reason)
            self._take(new)
            self._retire(old)
            return new.served

    async def close(self, *, drain: bool = True) -> None:
        """Stop accepting; finish what was accepted where `drain`; let go of everything."""
        self._reason = DRAINING
        await self._release(drain=drain)
        async with self._swapping:  # a start or swap that was under way
            await self._release(drain=drain)
            await asyncio.gather(*self._retiring)

    async def _release(self, *, drain: bool) -> None:
        last, self._loaded = self._loaded, None
        if last is not None:
            await asyncio.to_thread(last.close, drain=drain)

    async def _open(self, path: Path) -> Loaded:
        load = partial(Loaded, path, self._settings, self._metrics, self._options)
        return await in_background(load, partial(Loaded.close, drain=False))

    def _present(self) -> Loaded:
        if self._loaded is None:
            raise NotReadyError(self._reason)
        return self._loaded

    def _working(self) -> Loaded:
        loaded = self._loaded
        if loaded is None or loaded.breakdown is not None:
            raise NotReadyError(str(self.refusal()))
        return loaded

    def _take(self, new: Loaded) -> None:
        """Serve a bundle from now on, and say so."""
        old, self._loaded = self._loaded, new
        served = new.served
        for role in ROLES:
            self._metrics.plan(role, served.plans.get(role))
        said = {"path": str(served.path), "bundle": served.name, "digest": served.digest, "plans": dict(served.plans)}
        log.info("serving a bundle", extra=said | ({"notes": new.notes} if new.notes else {}))
        for what in ("latent_dim", "image_shape", "feature_dim"):
            before, now = getattr(old.served if old else served, what), getattr(served, what)
            if before != now:
                log.warning("another signature than before", extra={"field": what, "before": before, "now": now})

    def _retire(self, old: Loaded) -> None:
        task = asyncio.create_task(asyncio.to_thread(old.close))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)


async def in_background(work: Callable[[], T], release: Callable[[T], object]) -> T:
    """What the work returns or raises.

    Args:
        work: what is done; loading a network cannot be interrupted.
        release: called with its result if nobody waits for it any more.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            made = work()
        except BaseException as error:
            with suppress(InvalidStateError):
                future.set_exception(error)
            return
        try:
            future.set_result(made)
        except InvalidStateError:
            release(made)

    threading.Thread(target=run, name=LOADING, daemon=True).start()
    try:
        return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        if not future.cancel() and future.exception() is None:  # it was done just before
            release(future.result())
        raise


def is_loading() -> bool:
    """Whether such work is under way in this process, which cannot end in the usual way without waiting for it."""
    return any(thread.name == LOADING for thread in threading.enumerate())
