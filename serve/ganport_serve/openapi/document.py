"""The whole OpenAPI 3.1 document: every path of HTTP, with the limits of this server and the shapes of its bundle."""

from collections.abc import Iterator
from http import HTTPStatus

from ganport_runtime import __version__

from ganport_serve.engine import Served
from ganport_serve.openapi.inference import inference_paths
from ganport_serve.openapi.parts import Document
from ganport_serve.openapi.people import people_paths
from ganport_serve.openapi.protocol import protocol_paths
from ganport_serve.openapi.refusals import EVERYWHERE, PROBLEM, refusal, refusals
from ganport_serve.openapi.server import server_paths
from ganport_serve.settings import Settings

__all__ = ["document"]

TEXT = """Images of the bundle `{name}`, {height} x {width} x {channels}, by seed; the discriminator's view of images;
and the Open Inference Protocol, version 2, over HTTP with JSON or binary tensors.
Image k of a seed is always the same, whoever asks and whatever else the server does.
A body has at most {body} bytes, a request at most {count} images, its line and headers at most {header} bytes.
Every answer names its request in `X-Request-Id`, the client's own name or a new one.
A refusal is a problem document (RFC 9457)."""
TAGS = {
    "images": "Images for people and scripts, by plain GET.",
    "discriminator": "What the discriminator makes of images.",
    "inference": "The Open Inference Protocol: tensors in, tensors out.",
    "models": "The Open Inference Protocol: health, metadata, configuration, statistics.",
    "server": "What the server does, what it has counted, and what it serves.",
}


def document(served: Served, settings: Settings) -> Document:
    """The document.

    Args:
        served: the bundle, whose shapes the schemas have; paths of a discriminator are there where it has one.
        settings: the limits, and whether clients send a token.
    """
    paths = (
        people_paths(served, settings)
        | inference_paths(served, settings)
        | protocol_paths(served)
        | server_paths(served, settings)
    )
    for operation in _operations(paths):
        _add_what_any_request_meets(operation, has_token=settings.token is not None)
    tags = {operation["tags"][0] for operation in _operations(paths)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "ganport", "version": __version__, "description": _text(served, settings)},
        "tags": [{"name": name, "description": text} for name, text in TAGS.items() if name in tags],
        "paths": paths,
        "components": {"schemas": {"Problem": PROBLEM}, "responses": refusals()} | _security_scheme(settings),
        "security": [] if settings.token is None else [{"token": []}],
    }


def _text(served: Served, settings: Settings) -> str:
    height, width, channels = served.image_shape
    limits = {"body": settings.max_body, "count": settings.max_count, "header": settings.max_header}
    return TEXT.format(name=served.name, height=height, width=width, channels=channels, **limits)


def _operations(paths: Document) -> Iterator[Document]:
    for path in paths.values():
        yield from path.values()


def _add_what_any_request_meets(operation: Document, *, has_token: bool) -> None:
    guarded = has_token and operation.get("security") != []
    statuses = (*EVERYWHERE, HTTPStatus.UNAUTHORIZED) if guarded else EVERYWHERE
    responses = operation["responses"] | {str(int(status)): refusal(status) for status in statuses}
    operation["responses"] = dict(sorted(responses.items()))


def _security_scheme(settings: Settings) -> Document:
    return {} if settings.token is None else {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}}
