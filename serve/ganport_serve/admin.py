"""`POST /admin/bundle`: another bundle takes over while the server serves; only for who has the token."""

import asyncio
import json
import logging
from http import HTTPStatus
from pathlib import Path

from ganport_runtime import BundleError, PlanError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from ganport_serve.engine import Engine, Served
from ganport_serve.lifecycle import DRAINING
from ganport_serve.problems import ProblemError
from ganport_serve.service import Service

__all__ = ["routes", "swap"]

log = logging.getLogger(__name__)
WANTED = 'wanted {"path": "the bundle\'s directory on the server"}'


def routes(service: Service) -> list[BaseRoute]:
    """The one route that changes what is served."""

    async def change_bundle(request: Request) -> Response:
        if service.settings.token is None:
            detail = "the bundle can be changed only where clients have a token: set GANPORT_TOKEN and start again"
            raise ProblemError.of(HTTPStatus.FORBIDDEN, detail)
        path = _path(await request.body())
        try:
            served = await asyncio.shield(service.keep(swap(service.engine, path)))  # whoever asked may leave
        except (BundleError, PlanError) as error:
            detail = f"{error}; the bundle that was served before goes on"
            raise ProblemError.of(HTTPStatus.UNPROCESSABLE_ENTITY, detail, field="path") from error
        return JSONResponse({"name": served.name, "digest": served.digest, "plans": dict(served.plans)})

    return [Route("/admin/bundle", change_bundle, methods=["POST"])]


async def swap(engine: Engine, path: Path) -> Served:
    """Let another bundle take over, and write down what came of it.

    Raises:
        BundleError, PlanError: it is not served; the one before is.
    """
    try:
        served = await engine.swap(path)
    except asyncio.CancelledError:
        log.error("the bundle was not changed", extra={"path": str(path), "reason": DRAINING})
        raise
    except Exception as error:
        log.error("the bundle was not changed", extra={"path": str(path), "reason": str(error)})
        raise
    log.info("the bundle was changed", extra={"path": str(path), "digest": served.digest})
    return served


def _path(body: bytes) -> Path:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ProblemError.of(HTTPStatus.BAD_REQUEST, f"the body is no JSON: {error}; {WANTED}") from None
    path = document.get("path") if isinstance(document, dict) else None
    if not isinstance(path, str) or not path or "\0" in path:
        raise ProblemError.of(HTTPStatus.BAD_REQUEST, f"there is no path; {WANTED}", field="path")
    return Path(path)
