"""Refusals: the problem document, and what each status means here."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from ganport_serve.problems import MEDIA_TYPE

__all__ = ["EVERYWHERE", "PROBLEM", "refusal", "refusals"]

TEXTS: Mapping[HTTPStatus, str] = {
    HTTPStatus.BAD_REQUEST: "The request is wrong; `field` names the part, `detail` says what is wanted.",
    HTTPStatus.UNAUTHORIZED: "This server wants its token.",
    HTTPStatus.FORBIDDEN: "This server was started without a token, so nobody may change what it serves.",
    HTTPStatus.NOT_FOUND: "There is no such model, version or file.",
    HTTPStatus.REQUEST_TIMEOUT: "The request took too long to arrive.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is larger than this server takes.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is of a kind that is not read here.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The bundle cannot be served; the one before goes on.",
    HTTPStatus.TOO_MANY_REQUESTS: "The queue is full; ask again after `Retry-After` seconds.",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "The request's line and headers are larger than this server takes.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "The engine or the server failed on this request; its log says why.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The server is starting or stopping, or has too many connections; ask again.",
    HTTPStatus.GATEWAY_TIMEOUT: "The answer would have come too late.",
}
# What any request may meet, whatever its path.
EVERYWHERE = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
WITH_PAUSE = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)

PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457",
    "required": ["type", "status", "title", "detail", "error"],
    "properties": {
        "type": {"const": "about:blank"},
        "status": {"type": "integer"},
        "title": {"type": "string"},
        "detail": {"type": "string", "description": "what was given, what is wanted, what to do"},
        "field": {"type": "string", "description": "the part of the request that is wrong"},
        "retry_after": {"type": "number", "description": "seconds after which to ask again"},
        "error": {"type": "string", "description": "`detail` again, where clients of the inference protocol look"},
    },
    "additionalProperties": False,
}


def refusal(status: HTTPStatus) -> dict[str, str]:
    """A reference to the refusal of this status."""
    return {"$ref": f"#/components/responses/{_name(status)}"}


def refusals() -> dict[str, Any]:
    """Every refusal by its name, for the document's components."""
    return {_name(status): _refusal(status, text) for status, text in TEXTS.items()}


def _name(status: HTTPStatus) -> str:
    return status.name.title().replace("_", "")


def _refusal(status: HTTPStatus, text: str) -> dict[str, Any]:
    said = {"description": text, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    if status in WITH_PAUSE:
        pause = {"description": "Seconds.", "required": True, "schema": {"type": "integer", "minimum": 1}}
        said["headers"] = {"Retry-After": pause}
    if status is HTTPStatus.UNAUTHORIZED:
        said["headers"] = {"WWW-Authenticate": {"required": True, "schema": {"const": "Bearer"}}}
    return said
