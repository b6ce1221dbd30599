"""What runs on a Ray cluster: the replica, its deployment, and a front's connection to them.

A configuration file names the application `import_path: ganport_serve.ray_engine.application:build`. The number of
replicas, their `user_config` and their `ray_actor_options` stand in that file, for the deployment `GeneratorReplica`.
Fronts find the application by its name, `ganport`.
"""

import asyncio
import logging
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, cast

import grpc  # type: ignore[import-untyped]
import numpy as np
import ray
from ganport_runtime import Bundle, BundleError, InputError, PlanError
from ganport_runtime.batches import TOP
from ganport_runtime.machine import cpu_quota, usable_cores
from ganport_runtime.plan import AUTO, PlanRequest
from ganport_runtime.serving import BatchReport, DeadlineError, QueueFullError
from ray import serve
from ray.exceptions import RayError, RayTaskError
from ray.serve import Application
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, RayServeException
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import ApplicationStatus, ApplicationStatusOverview, LoggingConfig

from ganport_serve.bundles import Loaded, Options
from ganport_serve.errors import NotReadyError, ServeError, no_discriminator
from ganport_serve.metrics import Metrics
from ganport_serve.ray_engine import environment
from ganport_serve.ray_engine.values import (
    UNDER_WAY,
    ErrorValue,
    Job,
    LostReplicaError,
    ReplicaState,
    WrongBundleError,
    error_of_text,
)
from ganport_serve.settings import Settings

log = logging.getLogger(__name__)
APPLICATION = "ganport"
DEPLOYMENT = "GeneratorReplica"
MAX_ONGOING = 64  # calls in one replica from all fronts; its batcher refuses by images long before
MAX_QUEUED = 1024  # calls that wait in one front's router
CHECKED = 2  # images of a health check
TOLERANCE = 2  # of 255: what a GPU may round differently from one run to the next
IDLE_SECONDS = 30.0  # a replaced bundle is closed when no front asked for it for so long
MAX_REPORTS = 4096  # reports that no front has fetched yet
STORE_BYTES = 80 * 2**20  # Ray's least; images do not travel through its object store
STATE_SECONDS = 5.0  # for all replicas to answer `state`
CHANGE_SECONDS = 600.0  # for all replicas to change their bundle
GRACE = 1.0  # seconds after a deadline for the replica's own refusal to arrive


class _Reports(list[tuple[str, BatchReport]]):
    """The replica's reports until an answer carries them to a front, which alone has metrics."""

    def batch(self, role: str, report: BatchReport) -> None:
        if len(self) < MAX_REPORTS:
            self.append((role, report))

    def take(self) -> list[tuple[str, BatchReport]]:
        count = len(self)
        reports = self[:count]
        del self[:count]
        return reports


class _OpenBundle:
    """A bundle that is open in a replica, with the images that its health check compares with."""

    def __init__(self, path: Path, settings: Settings, reports: _Reports, options: Options) -> None:
        self.loaded = Loaded(path, settings, cast(Metrics, reports), options)
        self.last_asked = time.monotonic()
        try:
            self._wanted = self.loaded.batcher.submit(CHECKED).result()
        except BaseException:
            self.loaded.close(drain=False)
            raise
        self._batches = -1

    def submit(self, job: Job, timeout: float | None) -> Any:
        """An awaitable of what the job makes."""
        self.last_asked = time.monotonic()
        if job.examine:
            if self.loaded.scorer is None:
                raise no_discriminator(self.loaded.served.name)
            return self.loaded.scorer.submit(cast(Any, job.rows), timeout=timeout)
        if job.rows is not None:
            return self.loaded.batcher.submit_latents(job.rows, timeout=timeout)
        return self.loaded.batcher.submit(job.images, seed=job.seed, start=job.start, timeout=timeout)

    async def check(self) -> None:
        """Raise PlanError if it no longer makes the images that it made at the start, or stands still."""
        before, self._batches = self._batches, self.loaded.batcher.stats().batches
        try:
            made = await self.loaded.batcher.submit(CHECKED)
        except QueueFullError:
            if before == self._batches:
                raise PlanError("the queue is full and no batch has run since the last check") from None
            return
        if np.abs(made.astype(np.int16) - self._wanted).max() > TOLERANCE:
            raise PlanError("the images of the health check are not those of the opening")


class GeneratorReplica:
    """One replica: the networks of a bundle behind their batchers.

    `user_config` is {"bundle": path, "digest": optional}. A replaced bundle stays open until no front asks for it, so
    that fronts can go on with the old one while the replicas change one after the other.
    """

    def __init__(self, settings: Settings, options: Mapping[str, Any]) -> None:
        self._settings, self._options = settings, Options(**options)
        self._name = uuid.uuid4().hex
        self._reports = _Reports()
        self._open: dict[str, _OpenBundle] = {}  # by digest
        self._present = ""
        self._complaint = ""
        self._changing = asyncio.Lock()
        self._retiring: asyncio.Task[None] | None = None

    async def reconfigure(self, user_config: Mapping[str, str]) -> None:
        """Serve this bundle from now on. If it fails, go on with the present one and say why in `state`.

        Raises BundleError, PlanError: there is no present one.
        """
        async with self._changing:
            try:
                digest = await self._opened(Path(user_config["bundle"]), user_config.get("digest"))
            except Exception as error:
                if not self._present:
                    raise
                self._complaint = f"{type(error).__name__}: {error}"
                log.warning("another bundle was not taken: %s", self._complaint)
                return
            self._present, self._complaint = digest, ""
            if self._retiring is None or self._retiring.done():
                self._retiring = asyncio.create_task(self._retire())

    async def work(
        self, digest: str, jobs: Sequence[tuple[Job, float | None]]
    ) -> tuple[list[Any], list[tuple[str, BatchReport]]]:
        """Do the jobs, each within its seconds, with the bundle of this digest.

        Returns for each job images, scores or an ErrorValue; and the reports of the runs since the last call.
        """
        opened = self._open.get(digest)
        if opened is None:
            wrong = WrongBundleError(f"the replica serves bundle {self._present[:12]}")
            return [ErrorValue.of(wrong)] * len(jobs), []
        answers = [_attempt(opened, job, timeout) for job, timeout in jobs]
        try:
            return [await _result(answer) for answer in answers], self._reports.take()
        except asyncio.CancelledError:
            for answer in answers:
                if not isinstance(answer, ErrorValue):
                    answer.cancel()
            raise

    async def state(self) -> ReplicaState:
        """How it is."""
        loaded = self._open[self._present].loaded
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
        """Called by Ray every few seconds; a replica that raises three times in a row is replaced."""
        await self._open[self._present].check()

    async def close(self) -> None:
        """Finish what was accepted, and release everything."""
        if self._retiring is not None:
            self._retiring.cancel()
        for opened in self._open.values():
            await asyncio.to_thread(opened.loaded.close)

    async def _opened(self, path: Path, digest: str | None) -> str:
        found = (await asyncio.to_thread(Bundle.open, path)).digest
        if digest is not None and found != digest:
            raise BundleError(
                f"{path} has digest {found[:12]}... here, wanted {digest[:12]}...; put the same bundle on every node"
            )
        if found not in self._open:
            self._open[found] = await asyncio.to_thread(_OpenBundle, path, self._settings, self._reports, self._options)
        return found

    async def _retire(self) -> None:
        while len(self._open) > 1:
            await asyncio.sleep(IDLE_SECONDS / 4)
            for digest, opened in list(self._open.items()):
                if digest != self._present and time.monotonic() - opened.last_asked > IDLE_SECONDS:
                    del self._open[digest]
                    await asyncio.shield(asyncio.to_thread(opened.loaded.close))


def _attempt(opened: _OpenBundle, job: Job, timeout: float | None) -> Any:
    try:
        return opened.submit(job, timeout)
    except Exception as error:
        return ErrorValue.of(error)


async def _result(answer: Any) -> Any:
    if isinstance(answer, ErrorValue):
        return answer
    try:
        return await answer
    except Exception as error:
        return ErrorValue.of(error)


@dataclass(frozen=True)
class Needs:
    """What one replica takes of its machine."""

    cpus: float  # cores that Ray counts for it
    gpus: float  # GPUs, also a fraction of one
    threads: int | None  # of one run; None leaves them to the plan, if the replica has its machine alone


def needs_of(options: Options, replicas: int, cpus: float, largest: float, gpus: float) -> Needs:
    """Share a cluster between replicas."""
    share = min(cpus / replicas, largest)
    whole = share if share < 1 else float(int(share))
    wants_gpu = options.device == "cuda" or (options.device == AUTO and gpus > 0)
    shared_gpu = min(1.0, gpus / replicas) if gpus else 1.0
    if options.threads is None:
        threads = None if whole == largest else max(1, int(whole))
    else:
        threads, whole = options.threads, min(whole, float(options.threads))
    return Needs(int(whole * 100) / 100, int(shared_gpu * 100) / 100 if wants_gpu else 0.0, threads)


def application(
    settings: Settings,
    options: Options,
    needs: Needs,
    *,
    replicas: int,
    user_config: dict[str, str],
    health_period: float = 5.0,
) -> Application:
    """The application of `replicas` replicas that serve the bundle of `user_config`."""
    # no token and no address travel; the queue has room for all calls of a front, which has a queue of its own
    batching = Settings(max_delay=settings.max_delay, max_queue=max(settings.max_queue, UNDER_WAY * TOP))
    deployment = serve.deployment(GeneratorReplica).options(  # type: ignore[attr-defined]
        name=DEPLOYMENT,
        num_replicas=replicas,
        user_config=user_config,
        max_ongoing_requests=MAX_ONGOING,
        max_queued_requests=MAX_QUEUED,
        ray_actor_options={"num_cpus": needs.cpus, "num_gpus": needs.gpus},
        graceful_shutdown_wait_loop_s=0.1,
        graceful_shutdown_timeout_s=settings.drain_timeout,
        health_check_period_s=health_period,
        health_check_timeout_s=30.0,
        max_constructor_retry_count=1,
        logging_config=LoggingConfig(log_level="WARNING", enable_access_log=False),
    )
    bound: Application = deployment.bind(batching, {**asdict(options), "threads": needs.threads})
    return bound


def build(args: dict[str, Any]) -> Application:
    """The application of a configuration file.

    Raises InputError: an argument is missing, unknown or has a wrong value. `args`: `bundle`, the path on every
    machine; optionally `device`, `precision`, `backend`, `threads` of `Generator.open`, and `max_delay` in seconds and
    `max_queue` in images of the batchers.
    """
    opening, batching = tuple(field.name for field in fields(Options)), ("max_delay", "max_queue")
    known = ("bundle", *opening, *batching)
    for name in args:
        if name not in known:
            raise InputError(f"args has {name!r}, wanted {', '.join(known)}")
    if not isinstance(args.get("bundle"), str):
        raise InputError("args has no bundle, wanted the path of a bundle's directory on every machine")
    options = Options(**{name: args[name] for name in opening if name in args})
    PlanRequest(**vars(options))  # checks the values
    settings = Settings(**{name: args[name] for name in batching if name in args})
    needs = Needs(cpus=float(options.threads or 1), gpus=float(options.device == "cuda"), threads=options.threads)
    return application(settings, options, needs, replicas=1, user_config={"bundle": args["bundle"]})


class Cluster:
    """A front's connection to Ray. Calls block, except those that ask replicas.

    `is_attached`: whether the application was there before, and stays.
    """

    def __init__(self, settings: Settings, options: Options, replicas: int, health_period: float) -> None:
        self._settings, self._options = settings, options
        self._replicas, self._health_period = replicas, health_period
        self._connects = not ray.is_initialized()
        self._handle: DeploymentHandle[Any] | None = None
        try:
            self._connect()
            self.is_attached = self._overview() is not None
        except BaseException:
            if self._connects:
                ray.shutdown()
            raise

    def deploy(self, user_config: dict[str, str]) -> None:
        """Start the replicas; returns before they serve."""
        have = ray.cluster_resources()  # type: ignore[no-untyped-call]
        nodes = ray.nodes()  # type: ignore[no-untyped-call]
        largest = max(node["Resources"].get("CPU", 0.0) for node in nodes if node["Alive"])
        cores, gpus = have.get("CPU", 1.0), have.get("GPU", 0.0)
        target = application(
            self._settings,
            self._options,
            needs_of(self._options, self._replicas, cores, max(1.0, largest), gpus),
            replicas=self._replicas,
            user_config=user_config,
            health_period=self._health_period,
        )
        run = serve.RunTarget(target, name=APPLICATION, route_prefix=None)
        serve.run_many([run], wait_for_applications_running=False)

    def wanted(self) -> tuple[int, int]:
        """Replicas that run, and how many there should be.

        Raises ServeError: Ray has given up starting them; the replica's own error if Ray reports it.
        """
        overview = self._overview()
        if overview is None:
            return 0, self._replicas
        if overview.status == ApplicationStatus.DEPLOY_FAILED:
            texts = [overview.message, *(one.message for one in overview.deployments.values())]
            raise error_of_text("\n".join(texts))
        states = overview.deployments[DEPLOYMENT].replica_states if DEPLOYMENT in overview.deployments else {}
        running = sum(count for state, count in states.items() if state == "RUNNING")
        return running, sum(states.values()) if self.is_attached else self._replicas

    async def work(
        self, digest: str, jobs: Sequence[tuple[Job, float | None]], timeout: float | None
    ) -> tuple[list[Any], list[tuple[str, BatchReport]]]:
        """Bring jobs to one replica; see `GeneratorReplica.work`.

        Raises LostReplicaError: the replica was lost. Raises QueueFullError, DeadlineError, NotReadyError, ServeError:
        see `Engine`.
        """
        response = self._replica_handle().work.remote(digest, jobs)
        try:
            async with asyncio.timeout(None if timeout is None else timeout + GRACE):
                return cast("tuple[list[Any], list[tuple[str, BatchReport]]]", await response)
        except TimeoutError:
            response.cancel()  # type: ignore[no-untyped-call]
            raise DeadlineError("no replica answered before the request's deadline") from None
        except asyncio.CancelledError:
            response.cancel()  # type: ignore[no-untyped-call]
            raise
        except BackPressureError as error:
            raise QueueFullError("every replica has all the calls that it may have; ask again", 1.0) from error
        except DeploymentUnavailableError as error:
            raise NotReadyError("Ray cannot start the replicas; its log says why", 5.0) from error
        except RayTaskError as error:
            raise ServeError(f"a replica failed: {error.cause}") from error
        except (RayError, RayServeException, grpc.RpcError) as error:
            raise LostReplicaError(type(error).__name__) from error

    async def states(self) -> list[ReplicaState]:
        """How every replica is; those that are lost or starting are left out."""
        found = await self._broadcast(STATE_SECONDS, "state")
        return [state for state in found if isinstance(state, ReplicaState)]

    async def reconfigure(self, user_config: dict[str, str]) -> None:
        """Let every replica serve a bundle; a replica that serves it already does nothing."""
        await self._broadcast(CHANGE_SECONDS, "reconfigure", user_config)

    def close(self) -> None:
        """Delete the application if it was deployed here; end Ray if it was started here."""
        if ray.is_initialized() and not self.is_attached:
            serve.delete(APPLICATION)
        if self._handle is not None:
            self._handle.shutdown()  # type: ignore[no-untyped-call]
        if self._connects:
            ray.shutdown()

    def _overview(self) -> ApplicationStatusOverview | None:
        return serve.status().applications.get(APPLICATION)

    def _replica_handle(self) -> DeploymentHandle[Any]:
        if self._handle is None:
            self._handle = serve.get_app_handle(APPLICATION)
        return self._handle

    async def _broadcast(self, seconds: float, method: str, *arguments: Any) -> Sequence[Any]:
        try:
            response = self._replica_handle().broadcast(method, *arguments)
            return await response.results_async(timeout_s=seconds, return_exceptions=True)
        except DeploymentUnavailableError:
            return []

    def _connect(self) -> None:
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if self._connects and environment.is_own():
            quota = cpu_quota()
            cores = usable_cores() if quota is None else max(1, min(usable_cores(), int(quota)))
            ray.init(num_cpus=cores, include_dashboard=False, object_store_memory=STORE_BYTES, **quiet)
            log.info("started a local Ray, for RAY_ADDRESS is not set", extra={"cores": cores})
        elif self._connects:
            address = os.environ[environment.ADDRESS]
            ray.init(address=address, **quiet)
            log.info("connected to the Ray cluster of RAY_ADDRESS", extra={"address": address})
        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        serve.start(proxy_location="Disabled")
