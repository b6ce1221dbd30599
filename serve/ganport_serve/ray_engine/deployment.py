"""Describes the replicas to Ray Serve: how many, what each needs, how it is changed, checked and stopped."""

from dataclasses import asdict, dataclass
from typing import Any
from zlib import crc32

from ganport_runtime.buckets import TOP
from ganport_runtime.plan import AUTO
from ray import serve
from ray.serve import Application
from ray.serve.schema import LoggingConfig

from ganport_serve.bundles import Options
from ganport_serve.ray_engine.outbox import UNDER_WAY
from ganport_serve.ray_engine.replica import GeneratorReplica
from ganport_serve.settings import Settings

__all__ = ["APPLICATION", "DEPLOYMENT", "Needs", "application", "needs_of"]

APPLICATION = "ganport"
DEPLOYMENT = "GeneratorReplica"
MAX_ONGOING = 64  # parcels in one replica, of all fronts together; its batcher refuses by images long before
MAX_QUEUED = 1024  # calls that wait in one front's router
GOES_ON = 0.1  # seconds between two looks at whether a replica that stops has finished


@dataclass(frozen=True)
class Needs:
    """What one replica takes of its machine.

    Attributes:
        cpus: cores that Ray counts for it.
        gpus: GPUs, also a part of one.
        threads: of one run; None leaves them to the plan, which only a replica that has its machine alone may do.
    """

    cpus: float
    gpus: float
    threads: int | None


def needs_of(options: Options, replicas: int, cpus: float, largest: float, gpus: float) -> Needs:
    """Share what a cluster has between replicas.

    Args:
        options: what was asked for; its threads, where given, are cores.
        replicas: how many are to share.
        cpus: cores of the whole cluster.
        largest: cores of its largest machine.
        gpus: GPUs of the whole cluster; not taken where `options.device` is `cpu`.
    """
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
    """The application of `replicas` replicas that serve the bundle of `user_config`.

    Args:
        settings: their batchers' delay and queue are taken from it.
        options: how networks are opened.
        needs: of one replica.
        replicas: how many.
        user_config: {"bundle": path on every machine, "digest": of it}.
        health_period: seconds between two health checks.
    """
    shown = {**asdict(options), "threads": needs.threads}
    # no token, no address; and room for all that one front sends, which has a queue of its own
    batching = Settings(max_delay=settings.max_delay, max_queue=max(settings.max_queue, UNDER_WAY * TOP))
    deployment = serve.deployment(GeneratorReplica).options(  # type: ignore[attr-defined]
        name=DEPLOYMENT,
        num_replicas=replicas,
        user_config=user_config,
        max_ongoing_requests=MAX_ONGOING,
        max_queued_requests=MAX_QUEUED,
        ray_actor_options={"num_cpus": needs.cpus, "num_gpus": needs.gpus},
        graceful_shutdown_wait_loop_s=GOES_ON,
        graceful_shutdown_timeout_s=settings.drain_timeout,
        health_check_period_s=health_period,
        health_check_timeout_s=30.0,
        max_constructor_retry_count=1,
        logging_config=LoggingConfig(log_level="WARNING", enable_access_log=False),
        # The same version as before is what makes Ray change `user_config` in the running replicas. There is no public
        # name for it beside a configuration file; should it go away, replicas would be replaced one after the other.
        version=_version(batching, shown),
        _internal=True,
    )
    bound: Application = deployment.bind(batching, shown)
    return bound


def _version(*parts: Any) -> str:
    return f"{crc32(repr(parts).encode()):08x}"
