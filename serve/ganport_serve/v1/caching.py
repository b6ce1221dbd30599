"""Answers that the question alone decides: their ETag is known, and a repetition answered, before the engine runs."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import PIL
from ganport_runtime import __version__
from starlette.requests import Request
from starlette.responses import Response

from ganport_serve.engine import Served
from ganport_serve.service import Service

__all__ = ["etag_of", "headers_of", "unchanged", "without_body"]


def etag_of(served: Served, path: str, values: Mapping[str, Any]) -> str:
    """A strong validator of everything that the bytes of an answer depend on."""
    parts = [served.digest, served.plans.get("generator"), __version__, PIL.__version__, path, dict(values)]
    return f'"{hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]}"'


def headers_of(service: Service, etag: str) -> dict[str, str]:
    """What a cache needs to know.

    An answer may be kept, and is asked for again each time, which costs the engine nothing: another bundle may take
    over at any moment. With a token it belongs to who has the token.
    """
    scope = "public" if service.settings.token is None else "private"
    return {"etag": etag, "cache-control": f"{scope}, max-age=0, must-revalidate"}


def unchanged(request: Request, etag: str) -> bool:
    """Whether the client has this answer already (`If-None-Match`, compared weakly as RFC 9110 wants)."""
    given = ",".join(request.headers.getlist("if-none-match"))
    return any(one.strip().removeprefix("W/") in (etag, "*") for one in given.split(","))


def without_body(status: int, headers: Mapping[str, str], media_type: str | None = None) -> Response:
    """The answer to HEAD, or that nothing has changed: no body, and no word on the length that one would have."""
    response = Response(status_code=status, headers=dict(headers), media_type=media_type)
    del response.headers["content-length"]
    return response
