"""`GET /v1/status`, what the server does right now, and `GET /metrics`, what it has counted."""

import time
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from ganport_serve.engine import Served
from ganport_serve.errors import NotReadyError
from ganport_serve.lifecycle import DRAINING, Lifecycle
from ganport_serve.service import Service

__all__ = ["routes"]

FRESH = {"cache-control": "no-store"}


def routes(service: Service, lifecycle: Lifecycle) -> list[BaseRoute]:
    """The routes that tell of the server itself."""
    begun = time.monotonic()

    async def status(request: Request) -> Response:
        del request
        document = status_document(service, lifecycle, time.monotonic() - begun)
        return JSONResponse(document, headers=FRESH)

    async def metrics(request: Request) -> Response:
        del request
        return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST, headers=FRESH)

    return [Route("/v1/status", status), Route("/metrics", metrics)]


def status_document(service: Service, lifecycle: Lifecycle, uptime: float) -> dict[str, Any]:
    """Everything that the page shows; `bundle` is None until one is served."""
    engine, metrics = service.engine, service.metrics
    reason = DRAINING if lifecycle.is_draining else engine.refusal()
    load, served = engine.load(), _served(service)
    percentiles = metrics.recent.percentiles(0.5, 0.99)
    return {
        "ready": reason is None,
        "reason": reason,
        "bundle": None if served is None else _bundle(served),
        "engine": engine.kind,
        "replicas": load.replicas,
        "plans": {} if served is None else dict(served.plans),
        "images_per_second": round(metrics.recent.images_per_second(), 3),
        "queue": load.queued,
        "running": load.running,
        "latency_ms": None
        if percentiles is None
        else {name: round(value * 1e3, 3) for name, value in zip(("p50", "p99"), percentiles, strict=True)},
        "images": metrics.image_count,
        "refused": metrics.refused_count,
        "uptime_seconds": round(uptime, 3),
        "limits": {"max_count": service.settings.max_count},
    }


def _served(service: Service) -> Served | None:
    try:
        return service.engine.served
    except NotReadyError:
        return None


def _bundle(served: Served) -> dict[str, Any]:
    return {
        "name": served.name,
        "digest": served.digest,
        "image_shape": list(served.image_shape),
        "latent_dim": served.latent_dim,
        "feature_dim": served.feature_dim,
    }
