"""Ray as one front uses it: started here or elsewhere, with the application deployed here or found there."""

import asyncio
import logging
import os
from collections.abc import Sequence
from typing import Any, cast

import grpc  # type: ignore[import-untyped]
import ray
from ganport_runtime.processor import cpu_quota, usable_cores
from ganport_runtime.serving import DeadlineError, QueueFullError
from ray import serve
from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, RayServeException
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import ApplicationStatus, ApplicationStatusOverview

from ganport_serve.bundles import Options
from ganport_serve.engine import Served
from ganport_serve.errors import NotReadyError, ServeError
from ganport_serve.ray_engine import environment
from ganport_serve.ray_engine.deployment import APPLICATION, DEPLOYMENT, Needs, application, needs_of
from ganport_serve.ray_engine.messages import Delivery, Parcel
from ganport_serve.ray_engine.messages import ReplicaState as State
from ganport_serve.ray_engine.outbox import LostReplicaError
from ganport_serve.ray_engine.troubles import Trouble, error_of, error_of_text
from ganport_serve.settings import Settings

__all__ = ["Cluster"]

log = logging.getLogger(__name__)
STORE_BYTES = 80 * 2**20  # Ray's least: images do not travel through its object store
STATE_SECONDS = 5.0  # for all replicas to say how they are
GRACE = 1.0  # seconds after a deadline for the replica's own refusal to arrive


class Cluster:
    """A connection to Ray; blocking calls but for those that ask replicas.

    Attributes:
        is_own: whether this process started Ray, and ends it.
        is_attached: whether the application was there before, and stays.
    """

    def __init__(self, settings: Settings, options: Options, replicas: int, health_period: float) -> None:
        self._settings, self._options = settings, options
        self._replicas, self._health_period = replicas, health_period
        self.is_own = not ray.is_initialized() and environment.is_own()
        self._connects = not ray.is_initialized()
        self.is_attached = False
        self._known: DeploymentHandle[Any] | None = None
        try:
            self._connect()
            self.is_attached = self.overview() is not None
        except BaseException:
            if self._connects:
                ray.shutdown()
            raise

    @property
    def _handle(self) -> DeploymentHandle[Any]:
        if self._known is None:
            self._known = serve.get_deployment_handle(DEPLOYMENT, APPLICATION)
        return self._known

    def deploy(self, path: str, digest: str) -> None:
        """Make every replica serve a bundle, one after the other; returns before they do."""
        target = application(
            self._settings,
            self._options,
            self._needs(),
            replicas=self._replicas,
            user_config={"bundle": path, "digest": digest},
            health_period=self._health_period,
        )
        run = serve.RunTarget(target, name=APPLICATION, route_prefix=None)
        serve.run_many([run], wait_for_applications_running=False)

    def overview(self) -> ApplicationStatusOverview | None:
        """How the application is, as Ray sees it; None where there is none."""
        return serve.status().applications.get(APPLICATION)

    def wanted(self) -> tuple[int, int]:
        """Replicas that run, and all that are there.

        Raises:
            ServeError: Ray has given up starting them; where a replica said why, its own error.
        """
        overview = self.overview()
        if overview is None:
            return 0, self._replicas
        if overview.status == ApplicationStatus.DEPLOY_FAILED:
            texts = [overview.message, *(one.message for one in overview.deployments.values())]
            raise error_of_text("\n".join(texts))
        states = overview.deployments[DEPLOYMENT].replica_states if DEPLOYMENT in overview.deployments else {}
        there = sum(states.values())
        running = sum(count for state, count in states.items() if state == "RUNNING")
        return running, there if self.is_attached else self._replicas

    async def send(self, parcel: Parcel, timeout: float | None) -> Delivery:
        """Bring a parcel to one replica.

        Raises:
            LostReplicaError: the replica went away with it.
            QueueFullError, DeadlineError, NotReadyError, ServeError: see `Engine`.
        """
        response = self._handle.work.remote(parcel)
        try:
            async with asyncio.timeout(None if timeout is None else timeout + GRACE):
                return cast(Delivery, await response)
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

    async def states(self) -> Sequence[State]:
        """How every replica is that answers; those that are lost or starting are left out."""
        try:
            found = await self._handle.broadcast("state").results_async(timeout_s=STATE_SECONDS, return_exceptions=True)
        except DeploymentUnavailableError:
            return []
        return [state for state in found if isinstance(state, State)]

    async def rehearse(self, path: str) -> Served:
        """Let one replica open, warm and probe a bundle beside the one that it serves.

        Raises:
            BundleError, PlanError: why it cannot serve it.
            NotReadyError: the replica was lost over it.
        """
        try:
            found = await self._handle.rehearse.remote(path)
        except (RayError, RayServeException, grpc.RpcError) as error:
            raise NotReadyError(f"the replica that tried the bundle was lost ({type(error).__name__})") from error
        if isinstance(found, Trouble):
            raise error_of(found)
        return cast(Served, found)

    def close(self) -> None:
        """Delete the application where it was deployed here; end Ray where it was started here."""
        if ray.is_initialized() and not self.is_attached:
            serve.delete(APPLICATION)
        if self._known is not None:
            self._known.shutdown()  # type: ignore[no-untyped-call]
        if self._connects:
            ray.shutdown()

    def _connect(self) -> None:
        if self.is_own:
            ray.init(
                num_cpus=_cores(),
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                object_store_memory=STORE_BYTES,
            )
            log.info("started a local Ray, for RAY_ADDRESS is not set", extra={"cores": _cores()})
        elif self._connects:
            address = os.environ[environment.ADDRESS]
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
            log.info("connected to the Ray cluster of RAY_ADDRESS", extra={"address": address})
        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        serve.start(proxy_location="Disabled")

    def _needs(self) -> Needs:
        have = ray.cluster_resources()  # type: ignore[no-untyped-call]
        nodes = ray.nodes()  # type: ignore[no-untyped-call]
        largest = max(node["Resources"].get("CPU", 0.0) for node in nodes if node["Alive"])
        return needs_of(self._options, self._replicas, have.get("CPU", 1.0), max(1.0, largest), have.get("GPU", 0.0))


def _cores() -> int:
    quota = cpu_quota()
    return usable_cores() if quota is None else max(1, min(usable_cores(), int(quota)))
