"""The engine of this process: batchers on one loaded bundle, which another one replaces between two batches."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ganport_runtime.plan import AUTO
from ganport_runtime.serving import Answer, QueueFullError, Scores
from numpy.typing import NDArray

from ganport_serve.background import in_background
from ganport_serve.engine import Load, Served
from ganport_serve.errors import NotReadyError, no_discriminator
from ganport_serve.lifecycle import DRAINING
from ganport_serve.loaded import Loaded, Options
from ganport_serve.metrics import Metrics
from ganport_serve.settings import Settings

__all__ = ["LocalEngine"]

log = logging.getLogger(__name__)
ROLES = ("generator", "discriminator")


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

    def full(self) -> QueueFullError | None:
        """Why not even one image has room now, counted as a refused request; see `Batcher.refusal`."""
        return None if self._loaded is None else self._loaded.batcher.refusal()

    def submit_sample(
        self, callback: Callable[[Any], object], count: int, *, seed: int, start: int, timeout: float
    ) -> asyncio.Task[None]:
        """`sample` with a callback; refusals raise at once."""
        return _tell(callback, self._working().batcher.submit(count, seed=seed, start=start, timeout=timeout))

    def submit_latents(
        self, callback: Callable[[Any], object], z: NDArray[np.float32], *, timeout: float
    ) -> asyncio.Task[None]:
        """`generate` with a callback; refusals raise at once."""
        return _tell(callback, self._working().batcher.submit_latents(z, timeout=timeout))

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
        await self._let_go(drain=drain)
        async with self._swapping:  # a start or swap that was under way
            await self._let_go(drain=drain)
            await asyncio.gather(*self._retiring)

    async def _let_go(self, *, drain: bool) -> None:
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


def _tell(callback: Callable[[Any], object], answer: Answer[NDArray[np.uint8]]) -> asyncio.Task[None]:
    async def wait() -> None:
        outcome: Any
        try:
            outcome = await answer
        except Exception as error:
            outcome = error
        callback(outcome)

    return asyncio.create_task(wait())
