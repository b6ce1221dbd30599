"""Names the reason of a refusal for the metrics: one word for both protocols, from a fixed list."""

from http import HTTPStatus

from ganport_serve.problems import Problem

__all__ = ["reason_of"]

REASONS = {
    HTTPStatus.BAD_REQUEST: "bad_request",
    HTTPStatus.UNAUTHORIZED: "unauthorized",
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "bad_method",
    HTTPStatus.NOT_ACCEPTABLE: "not_acceptable",
    HTTPStatus.REQUEST_TIMEOUT: "slow_request",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too_large",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "bad_media_type",
    HTTPStatus.UNPROCESSABLE_ENTITY: "bad_bundle",
    HTTPStatus.TOO_MANY_REQUESTS: "queue_full",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "header_too_large",
    HTTPStatus.NOT_IMPLEMENTED: "not_served",
    HTTPStatus.SERVICE_UNAVAILABLE: "not_ready",
    HTTPStatus.GATEWAY_TIMEOUT: "deadline",
}


def reason_of(problem: Problem) -> str:
    """Why a request was refused, in one word; `failed` where that is no fault of the request."""
    return REASONS.get(HTTPStatus(problem.status), "failed")
