"""The pages: static files of this package, served with an ETag and a strict content security policy."""

import hashlib
from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path

from ganport_runtime.errors import shown

from ganport_serve.http import Headers, Request, Response, Route
from ganport_serve.refusals import refuse
from ganport_serve.v1 import is_unchanged

FOLDER = Path(__file__).parent / "static"
MEDIA_TYPES = {
    ".html": b"text/html; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
}
SECURITY: Headers = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        b"connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
)


def routes() -> list[Route]:
    """The pages `/` and `/docs`, and `/static/*`; they depend on nothing that is served."""
    _files()  # at the start, while there are file descriptors
    return [
        Route("/", GET=partial(_file, "index.html")),
        Route("/docs", GET=partial(_file, "docs.html")),
        Route("/static/{name}", GET=_static),
    ]


def file_names() -> list[str]:
    """Every file below `/static/`."""
    return sorted(_files())


async def _static(request: Request) -> Response:
    return await _file(request.params["name"], request)


async def _file(name: str, request: Request) -> Response:
    found = _files().get(name)
    if found is None:
        raise refuse("not_found", f"the page has no file {shown(name)}")
    body, etag, media_type = found
    headers = [(b"content-type", media_type), (b"cache-control", b"no-cache"), (b"etag", etag.encode()), *SECURITY]
    return Response(None, headers, 304) if is_unchanged(request, etag) else Response(body, headers)


@lru_cache(maxsize=1)
def _files() -> Mapping[str, tuple[bytes, str, bytes]]:
    found = {}
    for path in FOLDER.iterdir():
        if path.suffix in MEDIA_TYPES:
            body = path.read_bytes()
            found[path.name] = (body, f'"{hashlib.sha256(body).hexdigest()[:32]}"', MEDIA_TYPES[path.suffix])
    return found
