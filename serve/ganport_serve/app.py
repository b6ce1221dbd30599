"""Puts the parts of the server's HTTP side together, with the document that describes them."""

import hashlib
from functools import lru_cache

import msgspec

from ganport_serve import admin, page, scores, v1
from ganport_serve.http import Application, Request, Response, Route
from ganport_serve.openapi import document
from ganport_serve.service import Service
from ganport_serve.v2 import http as v2


def make_app(service: Service) -> Application:
    """The ASGI application."""
    return Application(service, routes(service))


def routes(service: Service) -> list[Route]:
    """Every route; those of inference first."""

    @lru_cache(maxsize=1)
    def written(digest: str) -> tuple[bytes, str]:
        del digest  # of what is served at this moment, since nothing here waits
        body = msgspec.json.encode(document(service.engine.served, service.settings))
        return body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'

    async def openapi(request: Request) -> Response:
        body, etag = written(service.engine.served.digest)
        headers = v1.cache_headers(service, etag)
        if v1.is_unchanged(request, etag):
            return Response(None, headers, 304)
        return Response(body, [(b"content-type", b"application/json"), *headers])

    own = [*v2.routes(service), *admin.routes(service), *v1.routes(service), *scores.routes(service)]
    return [*own, Route("/openapi.json", GET=openapi), *page.routes()]
