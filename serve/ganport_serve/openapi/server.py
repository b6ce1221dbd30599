"""The server itself: what it does, what it has counted, another bundle, its pages."""

from http import HTTPStatus

from ganport_serve.engine import Served
from ganport_serve.openapi.parts import JSON, Document, answer, constant, nullable, operation, record
from ganport_serve.page import file_names
from ganport_serve.settings import Settings

__all__ = ["server_paths"]

TEXT = {"type": "string"}
COUNT = {"type": "integer", "minimum": 0}
NUMBER = {"type": "number", "minimum": 0}
PLANS = {"type": "object", "additionalProperties": TEXT}


def server_paths(served: Served, settings: Settings) -> Document:
    """Status, metrics, change of bundle, this document and the pages."""
    return {
        "/v1/status": {"get": _status(served)},
        "/metrics": {"get": _text("metrics", "What the server has counted, for Prometheus", "text/plain")},
        "/admin/bundle": {"post": _change_bundle(settings)},
        "/openapi.json": {"get": _document()},
        "/docs": {"get": _text("docs", "This document as a page", "text/html")},
        "/": {"get": _text("page", "Images for people", "text/html") | {"security": []}},
        "/static/{name}": {"get": _static() | {"security": []}},
    }


def _status(served: Served) -> Document:
    bundle = {
        "name": TEXT,
        "digest": TEXT,
        "image_shape": constant(list(served.image_shape)),
        "latent_dim": constant(served.latent_dim),
        "feature_dim": constant(served.feature_dim),
    }
    members = {
        "ready": {"type": "boolean"},
        "reason": nullable(TEXT),
        "bundle": nullable(record(bundle)),
        "engine": {"enum": ["local", "ray"]},
        "replicas": COUNT,
        "plans": PLANS,
        "images_per_second": NUMBER,
        "queue": COUNT,
        "running": COUNT,
        "latency_ms": nullable(record({"p50": NUMBER, "p99": NUMBER})),
        "images": COUNT,
        "refused": COUNT,
        "uptime_seconds": NUMBER,
        "limits": record({"max_count": {"type": "integer", "minimum": 1}}),
    }
    answers = {"200": answer("Figures of the last seconds and since the start.", {JSON: record(members)})}
    return operation("status", "server", "What the server does right now", answers)


def _change_bundle(settings: Settings) -> Document:
    path = {"type": "string", "minLength": 1, "description": "the bundle's directory on the server"}
    body = {"schema": record({"path": path}), "example": {"path": "/srv/other.ganport"}}
    answers = {"200": answer("It serves.", {JSON: record({"name": TEXT, "digest": TEXT, "plans": PLANS})})}
    refused = (HTTPStatus.FORBIDDEN,) if settings.token is None else (HTTPStatus.UNPROCESSABLE_ENTITY,)
    return operation(
        "change_bundle", "server", "Serve another bundle", answers,
        text="It is loaded, warmed and probed beside the present one, and takes over between two batches.",
        body={"required": True, "content": {JSON: body}},
        refused=refused,
    )  # fmt: skip


def _text(name: str, summary: str, media_type: str) -> Document:
    return operation(name, "server", summary, {"200": answer(summary + ".", {media_type: TEXT})})


def _document() -> Document:
    answers = {"200": answer("OpenAPI 3.1.", {JSON: {"type": "object"}})}
    return operation("openapi", "server", "This document", answers)


def _static() -> Document:
    parameter = {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "enum": file_names()}}
    kinds: Document = {kind: {} for kind in ("text/html", "text/css", "text/javascript", "image/svg+xml")}
    return operation(
        "static", "server", "A file of the pages", {"200": answer("The file.", kinds)},
        parameters=(parameter,), refused=(HTTPStatus.NOT_FOUND,),
    )  # fmt: skip
