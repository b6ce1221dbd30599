"""One replica: a bundle's networks behind their batchers, and the change to another bundle. Needs no Ray itself."""

import asyncio
import logging
import os
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from ganport_runtime import Bundle, BundleError, PlanError
from ganport_runtime.serving import BatchReport, QueueFullError, Scores
from numpy.typing import NDArray

from ganport_serve.bundles import Loaded, Options
from ganport_serve.engine import Served
from ganport_serve.errors import no_discriminator
from ganport_serve.metrics import Metrics
from ganport_serve.ray_engine.change import CHANGE_SECONDS
from ganport_serve.ray_engine.messages import Delivery, ImageJob, Job, LatentJob, Made, Parcel, ReplicaState
from ganport_serve.ray_engine.troubles import ElsewhereError, Trouble, trouble_of
from ganport_serve.settings import Settings

__all__ = ["GeneratorReplica"]

log = logging.getLogger(__name__)
CHECKED = 2  # images that a health check makes
TOLERANCE = 2  # of 255: what a GPU may round otherwise from one run to the next
IDLE_SECONDS = 10.0  # a bundle that was replaced is closed when nobody asked for it for so long, but for the new one
MOST_REPORTS = 4096  # of runs that no front has fetched yet


class _Reports(list[tuple[str, BatchReport]]):
    """The runs of the engines that no answer has carried to a front yet; appended by the batchers' threads."""

    def batch(self, role: str, report: BatchReport) -> None:
        if len(self) < MOST_REPORTS:
            self.append((role, report))

    def taken(self) -> list[tuple[str, BatchReport]]:
        count = len(self)
        reports = self[:count]
        del self[:count]
        return reports


class _Station:
    """A bundle that is open here, the images by which its health is checked, and when it was last asked for.

    Attributes:
        asked: when it was last asked for, opened or replaced.
        is_in_use: whether it was asked for since it became the present one.
    """

    def __init__(self, path: Path, settings: Settings, reports: _Reports, options: Options) -> None:
        # a batcher's figures go to the fronts, which alone have metrics
        self.loaded = Loaded(path, settings, cast(Metrics, reports), options)
        self.asked, self.is_in_use = time.monotonic(), False
        try:
            self._wanted = self.loaded.batcher.submit(CHECKED).result()
        except BaseException:
            self.loaded.close(drain=False)
            raise
        self._batches = -1

    @property
    def served(self) -> Served:
        return self.loaded.served

    def is_needless(self, present: "_Station") -> bool:
        """Whether nobody will ask for it any more: fronts ask for the present one once all replicas have that."""
        idle = time.monotonic() - self.asked
        return idle > (IDLE_SECONDS if present.is_in_use else CHANGE_SECONDS)

    def submit(self, job: Job, timeout: float | None) -> Any:
        """What is to be awaited for a job."""
        self.asked, self.is_in_use = time.monotonic(), True
        match job:
            case ImageJob():
                if self.loaded.scorer is None:
                    raise no_discriminator(self.served.name)
                return self.loaded.scorer.submit(job.rows, timeout=timeout)
            case LatentJob():
                return self.loaded.batcher.submit_latents(job.rows, timeout=timeout)
        return self.loaded.batcher.submit(job.images, seed=job.seed, start=job.start, timeout=timeout)

    async def check(self) -> None:
        """See that it makes the images that it made when it was opened.

        Raises:
            PlanError: it does not, or its engine stands still.
        """
        batches = self.loaded.batcher.stats().batches
        try:
            made = await self.loaded.batcher.submit(CHECKED)
        except QueueFullError:
            if batches == self._batches:
                raise PlanError("the queue is full and no batch has run since the last check") from None
            self._batches = batches
            return
        self._batches = batches
        if np.abs(made.astype(np.int16) - self._wanted).max() > TOLERANCE:
            raise PlanError("the images of the health check are not those of the opening")


class GeneratorReplica:
    """What Ray Serve runs as one replica; `user_config` is {"bundle": path, "digest": optional}.

    The bundle before the present one stays open until nobody asks for it any more, so that a front can go on asking all
    replicas for the old one while they change one after the other.

    Args:
        settings: how the batchers wait and what they refuse.
        options: how networks are opened, as `Generator.open` takes it.
    """

    def __init__(self, settings: Settings, options: Mapping[str, Any]) -> None:
        self._settings, self._options = settings, Options(**options)
        self._name = uuid.uuid4().hex
        self._reports = _Reports()
        self._stations: list[_Station] = []  # the present one, then those that are still open beside it
        self._complaint = ""
        self._changing = asyncio.Lock()
        self._retiring: asyncio.Task[None] | None = None
        self._closing: asyncio.Future[None] | None = None

    async def reconfigure(self, user_config: Mapping[str, str]) -> None:
        """Serve this bundle from now on; where that fails, go on with the present one and say why in `state`.

        Raises:
            BundleError, PlanError: there is no present one.
        """
        async with self._changing:
            try:
                station = await self._open(Path(user_config["bundle"]), user_config.get("digest"))
            except Exception as error:
                if not self._stations:
                    raise
                self._complaint = f"{type(error).__name__}: {error}"
                log.warning("another bundle was not taken: %s", self._complaint)
                return
            self._complaint, station.is_in_use = "", False
            if self._stations:
                self._stations[0].asked = time.monotonic()  # it is needed until every replica has changed
            self._stations = [station, *(other for other in self._stations if other is not station)]
            self._retire_idle()

    async def rehearse(self, path: str) -> Served | Trouble:
        """Open, warm and probe a bundle beside the present one, and keep it for a `reconfigure` that follows soon."""
        async with self._changing:
            try:
                station = await self._open(Path(path), None)
            except Exception as error:
                return trouble_of(error)
            self._retire_idle()
            return station.served

    async def work(self, parcel: Parcel) -> Delivery:
        """Make what a parcel asks for; what goes wrong with one job is that job's alone."""
        station = self._station(parcel.digest)
        if station is None:
            elsewhere = trouble_of(ElsewhereError(self._stations[0].served.digest))
            return Delivery([elsewhere] * len(parcel.jobs))
        answers = [_submitted(station, job, timeout) for job, timeout in zip(parcel.jobs, parcel.timeouts, strict=True)]
        try:
            made = [await _made(answer) for answer in answers]
        except asyncio.CancelledError:
            for answer in answers:
                if not isinstance(answer, Trouble):
                    answer.cancel()
            raise
        return Delivery(made, self._reports.taken())

    async def state(self) -> ReplicaState:
        """How it is."""
        loaded = self._stations[0].loaded
        stats = [batcher.stats() for batcher in (loaded.batcher, loaded.scorer) if batcher is not None]
        return ReplicaState(
            replica=self._name,
            pid=os.getpid(),
            served=loaded.served,
            queued=sum(one.queued for one in stats),
            running=sum(one.running for one in stats),
            images_per_second=stats[0].images_per_second,
            images=stats[0].images,
            complaint=self._complaint,
        )

    async def check_health(self) -> None:
        """Called by Ray every few seconds; a replica that raises is replaced."""
        await self._stations[0].check()

    async def close(self) -> None:
        """Finish what was accepted and let go of everything."""
        if self._retiring is not None:
            self._retiring.cancel()
        if self._closing is not None:
            await self._closing
        for station in self._stations:
            await asyncio.to_thread(station.loaded.close)

    async def _open(self, path: Path, digest: str | None) -> _Station:
        """The station of a bundle; one that is open already is used again."""
        found = (await asyncio.to_thread(Bundle.open, path)).digest
        if digest is not None and found != digest:
            raise BundleError(
                f"{path} has digest {found[:12]}... here, wanted {digest[:12]}...; put the same bundle on every node"
            )
        station = self._station(found)
        if station is None:
            station = await asyncio.to_thread(_Station, path, self._settings, self._reports, self._options)
            self._stations.append(station)
        station.asked = time.monotonic()
        return station

    def _station(self, digest: str) -> _Station | None:
        return next((station for station in self._stations if station.served.digest == digest), None)

    def _retire_idle(self) -> None:
        if self._retiring is None or self._retiring.done():
            self._retiring = asyncio.create_task(self._retire())

    async def _retire(self) -> None:
        """Close the stations beside the present one, each once nobody has asked for it for a while."""
        while len(self._stations) > 1:
            await asyncio.sleep(IDLE_SECONDS / 4)
            present = self._stations[0]
            for station in [other for other in self._stations[1:] if other.is_needless(present)]:
                self._stations = [other for other in self._stations if other is not station]
                self._closing = asyncio.ensure_future(asyncio.to_thread(station.loaded.close))
                await asyncio.shield(self._closing)  # `close` cancels this task, and awaits that one


def _submitted(station: _Station, job: Job, timeout: float | None) -> Any:
    try:
        return station.submit(job, timeout)
    except Exception as error:
        return trouble_of(error)


async def _made(answer: Any) -> Made:
    if isinstance(answer, Trouble):
        return answer
    try:
        return cast(NDArray[np.uint8] | Scores, await answer)
    except Exception as error:
        return trouble_of(error)
