"""What the server says of itself, `GET /v1/status` and `GET /metrics`, and how its bundle is changed."""

import asyncio
import logging
import time
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import msgspec
from ganport_runtime import BundleError, PlanError
from prometheus_client import CONTENT_TYPE_LATEST

from ganport_serve.engine import Engine, Served
from ganport_serve.errors import DRAINING, NotReadyError
from ganport_serve.http import FRESH, Request, Response, Route, json_response
from ganport_serve.refusals import refuse
from ganport_serve.service import Service

log = logging.getLogger(__name__)


class BundleRequest(msgspec.Struct):
    """Which bundle is to be served."""

    path: Annotated[str, msgspec.Meta(min_length=1, description="the bundle's directory on the server")]


class BundleAnswer(msgspec.Struct):
    """The bundle that is served now."""

    name: str
    digest: str
    plans: dict[str, str]


class BundleStatus(msgspec.Struct):
    """The bundle that is served."""

    name: str
    digest: str
    image_shape: tuple[int, int, int]
    latent_dim: int
    feature_dim: int | None


class LatencyStatus(msgspec.Struct):
    """Milliseconds of the requests of the last half minute."""

    p50: float
    p99: float


class StatusDocument(msgspec.Struct):
    """What the server does right now: figures of the last seconds and since the start."""

    ready: bool
    reason: str | None
    bundle: BundleStatus | None
    engine: str
    replicas: int
    plans: dict[str, str]
    images_per_second: float
    queue: int
    running: int
    latency_ms: LatencyStatus | None
    images: int
    refused: int
    uptime_seconds: float
    limits: dict[str, int]


def routes(service: Service) -> list[Route]:
    """Status, metrics and the change of the bundle."""
    begun = time.monotonic()

    async def status(_: Request) -> Response:
        return json_response(status_document(service, time.monotonic() - begun), FRESH)

    async def metrics(_: Request) -> Response:
        text = await asyncio.to_thread(service.metrics.text)
        return Response(text, [(b"content-type", CONTENT_TYPE_LATEST.encode()), FRESH])

    return [
        Route("/v1/status", GET=status),
        Route("/metrics", GET=metrics),
        Route("/admin/bundle", POST=partial(_change_bundle, service)),
    ]


def status_document(service: Service, uptime: float) -> StatusDocument:
    """Everything that the page shows; `bundle` is None until one is served."""
    engine, metrics = service.engine, service.metrics
    reason = DRAINING if service.lifecycle.is_draining else engine.refusal()
    load, served = engine.load(), _served(engine)
    percentiles = metrics.recent.percentiles(0.5, 0.99)
    return StatusDocument(
        ready=reason is None,
        reason=reason,
        bundle=None if served is None else _bundle(served),
        engine=engine.kind,
        replicas=load.replicas,
        plans={} if served is None else dict(served.plans),
        images_per_second=round(metrics.recent.images_per_second(), 3),
        queue=load.queued,
        running=load.running,
        latency_ms=None if percentiles is None else LatencyStatus(*(round(value * 1e3, 3) for value in percentiles)),
        images=metrics.image_count,
        refused=metrics.refused_count,
        uptime_seconds=round(uptime, 3),
        limits={"max_count": service.settings.max_count},
    )


def _served(engine: Engine) -> Served | None:
    try:
        return engine.served
    except NotReadyError:
        return None


def _bundle(served: Served) -> BundleStatus:
    return BundleStatus(served.name, served.digest, served.image_shape, served.latent_dim, served.feature_dim)


async def _change_bundle(service: Service, request: Request) -> Response:
    """Another bundle takes over while the server serves; only for a client that has the token."""
    if service.settings.token is None and service.settings.admin_token is None:
        detail = "the bundle can be changed only where clients have a token: set GANPORT_TOKEN and start again"
        raise refuse("forbidden", detail)
    asked = await request.document(BundleRequest, 'wanted {"path": "the bundle\'s directory on the server"}')
    if "\0" in asked.path:
        raise refuse("bad_request", "the path holds a zero byte, wanted a directory on the server", field="path")
    try:
        served = await asyncio.shield(service.keep(swap(service.engine, Path(asked.path))))  # the client may leave
    except (BundleError, PlanError) as error:
        raise refuse("bad_bundle", f"{error}; the bundle that was served before goes on", field="path") from error
    return json_response(BundleAnswer(served.name, served.digest, dict(served.plans)))


async def swap(engine: Engine, path: Path) -> Served:
    """Let another bundle take over, and log the outcome.

    Raises BundleError, PlanError: it is not served; the one before is.
    """
    said: dict[str, Any] = {"path": str(path)}
    try:
        served = await engine.swap(path)
    except asyncio.CancelledError:
        log.error("the bundle was not changed", extra=said | {"reason": DRAINING})
        raise
    except Exception as error:
        log.error("the bundle was not changed", extra=said | {"reason": str(error)})
        raise
    log.info("the bundle was changed", extra=said | {"digest": served.digest})
    return served
