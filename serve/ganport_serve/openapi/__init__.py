"""What the server takes and answers, as an OpenAPI document and as a page that people read."""

import hashlib
import json
from functools import lru_cache
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ganport_serve.openapi.document import document
from ganport_serve.page import static_file
from ganport_serve.service import Service
from ganport_serve.v1.caching import headers_of, unchanged, without_body

__all__ = ["document", "routes"]

MEDIA_TYPE = "application/json"


def routes(service: Service) -> list[BaseRoute]:
    """`/openapi.json`, of the bundle that is served, and `/docs`, the page that shows it."""

    @lru_cache(maxsize=1)
    def written(digest: str) -> tuple[bytes, str]:
        del digest  # of what is served at this moment, since nothing here waits
        body = json.dumps(document(service.engine.served, service.settings)).encode()
        return body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'

    async def openapi(request: Request) -> Response:
        body, etag = written(service.engine.served.digest)
        headers = headers_of(service, etag)
        if unchanged(request, etag):
            return without_body(HTTPStatus.NOT_MODIFIED, headers)
        return Response(body, media_type=MEDIA_TYPE, headers=headers)

    return [
        Route("/openapi.json", openapi, methods=["GET"]),
        Route("/docs", static_file("docs.html"), methods=["GET"]),
    ]
