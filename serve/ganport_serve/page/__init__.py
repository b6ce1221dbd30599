"""The pages: static files of this package, served with an ETag and a strict content security policy."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path

from ganport_runtime.text import shown
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ganport_serve.problems import ProblemError
from ganport_serve.v1.caching import unchanged, without_body

__all__ = ["file_names", "routes", "static_file"]

FOLDER = Path(__file__).parent / "static"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
SECURITY = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


@dataclass(frozen=True)
class File:
    """One file of the page as it is sent."""

    body: bytes
    headers: dict[str, str]


def routes() -> list[BaseRoute]:
    """`/` and `/static/*`; they depend on nothing that is served, and ask for no token."""

    async def static(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _files():
            raise ProblemError.of(HTTPStatus.NOT_FOUND, f"the page has no file {shown(name)}")
        return _answer(request, _files()[name])

    return [
        Route("/", static_file("index.html"), methods=["GET"]),
        Route("/static/{name}", static, methods=["GET"]),
    ]


def static_file(name: str) -> Callable[[Request], Awaitable[Response]]:
    """What answers with one file of the pages."""

    async def endpoint(request: Request) -> Response:
        return _answer(request, _files()[name])

    return endpoint


def file_names() -> list[str]:
    """Every file below `/static/`."""
    return sorted(_files())


@lru_cache(maxsize=1)
def _files() -> Mapping[str, File]:
    return {path.name: _file(path) for path in FOLDER.iterdir() if path.suffix in MEDIA_TYPES}


def _file(path: Path) -> File:
    body = path.read_bytes()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"content-type": MEDIA_TYPES[path.suffix], "cache-control": "no-cache", "etag": etag}
    return File(body, headers | SECURITY)


def _answer(request: Request, file: File) -> Response:
    if unchanged(request, file.headers["etag"]):
        return without_body(HTTPStatus.NOT_MODIFIED, file.headers)
    return Response(file.body, headers=file.headers)
