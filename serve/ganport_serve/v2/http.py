"""The protocol's routes over HTTP, all but inference: health, metadata, configuration, statistics."""

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from ganport_serve.errors import NotReadyError
from ganport_serve.problems import ProblemError, bad_field
from ganport_serve.service import Service
from ganport_serve.v2 import described
from ganport_serve.v2.models import Model, models, named
from ganport_serve.v2.statistics import statistics

__all__ = ["routes"]

NOT_SERVED = {
    "/v2/repository/models/{model}/load": "models are not loaded one by one; POST /admin/bundle changes the bundle",
    "/v2/repository/models/{model}/unload": "models are not unloaded; stop the server, or POST /admin/bundle",
    "/v2/systemsharedmemory{rest:path}": "shared memory is not served; tensors come and go with the request",
    "/v2/cudasharedmemory{rest:path}": "shared memory is not served; tensors come and go with the request",
    "/v2/trace/setting": "tracing is not served; /metrics says where time goes",
    "/v2/models/{model}/trace/setting": "tracing is not served; /metrics says where time goes",
    "/v2/logging": "log settings are not changed over the network; ganport serve has them as options",
}


def routes(service: Service) -> list[BaseRoute]:
    """Every route of the protocol but inference."""
    return [
        _get("/v2", lambda: JSONResponse(described.server_metadata())),
        _get("/v2/health/live", lambda: JSONResponse({"live": True})),
        _get("/v2/health/ready", lambda: _ready(service, {"ready": True})),
        _get("/v2/models/stats", lambda: JSONResponse(statistics(service, models(service.engine.served).values()))),
        *_of_model(service, "", lambda model: JSONResponse(described.metadata(model))),
        *_of_model(service, "/ready", lambda model: _ready(service, {"name": model.name, "ready": True})),
        *_of_model(service, "/config", lambda model: JSONResponse(described.config(service, model))),
        *_of_model(service, "/stats", lambda model: JSONResponse(statistics(service, [model]))),
        Route("/v2/repository/index", _index(service), methods=["POST"]),
        *(Route(path, _refuse(detail), methods=["GET", "POST"]) for path, detail in NOT_SERVED.items()),
    ]


def _get(path: str, answer: Callable[[], Response]) -> BaseRoute:
    async def endpoint(_: Request) -> Response:
        return answer()

    return Route(path, endpoint)


def _of_model(service: Service, end: str, answer: Callable[[Model], Response]) -> list[BaseRoute]:
    """The route of something that a model has, with and without its version."""

    async def endpoint(request: Request) -> Response:
        found = named(service.engine.served, request.path_params["model"], request.path_params.get("version"))
        return answer(found)

    return [Route(f"/v2/models/{{model}}{version}{end}", endpoint) for version in ("", "/versions/{version}")]


def _ready(service: Service, document: dict[str, Any]) -> Response:
    reason = service.engine.refusal()
    if reason is not None:
        raise NotReadyError(reason)
    return JSONResponse(document)


def _index(service: Service) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        return JSONResponse(described.repository_index(service, ready=_ready_only(await request.body())))

    return endpoint


def _ready_only(body: bytes) -> bool:
    """What an index request wants; its body may be empty."""
    try:
        document = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise bad_field("body", 'the JSON cannot be read, wanted an object such as {"ready": true}') from None
    ready = document.get("ready", False) if isinstance(document, dict) else None
    if not isinstance(ready, bool):
        raise bad_field("ready", 'ready is no truth value, wanted an object such as {"ready": true}')
    return ready


def _refuse(detail: str) -> Callable[[Request], Any]:
    async def endpoint(_: Request) -> Response:
        raise ProblemError.of(HTTPStatus.NOT_IMPLEMENTED, detail)

    return endpoint
