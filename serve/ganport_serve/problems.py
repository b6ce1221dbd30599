"""Turns every refusal into a problem document (RFC 9457) and a gRPC code: one table for both protocols."""

import math
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from ganport_runtime import BundleError, ClosedError, InputError, PlanError
from ganport_runtime.serving import DeadlineError, QueueFullError

from ganport_serve.errors import NotReadyError, UnknownModelError
from ganport_serve.lifecycle import DRAINING

__all__ = ["MEDIA_TYPE", "Problem", "ProblemError", "bad_field", "problem_of"]

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class Problem:
    """One refusal as a client sees it.

    Attributes:
        status: of HTTP.
        detail: one line: what was given, what is wanted, what to do.
        field: the part of the request that is wrong, where one is.
        retry_after: seconds after which to ask again, where that helps.
    """

    status: int
    detail: str
    field: str | None = None
    retry_after: float | None = None

    def document(self) -> dict[str, Any]:
        """The members of `application/problem+json`."""
        members: dict[str, Any] = {
            "status": self.status,
            "title": HTTPStatus(self.status).phrase,
            "detail": self.detail,
        }
        if self.field is not None:
            members["field"] = self.field
        if self.retry_after is not None:
            members["retry_after"] = max(1, math.ceil(self.retry_after * 1000)) / 1000
        # clients of the Open Inference Protocol read their message here
        return {"type": "about:blank", **members, "error": self.detail}

    def headers(self) -> dict[str, str]:
        """The headers that belong to it."""
        headers = {"content-type": MEDIA_TYPE, "cache-control": "no-store"}
        if self.retry_after is not None:
            headers["retry-after"] = str(max(1, math.ceil(self.retry_after)))
        if self.status == HTTPStatus.UNAUTHORIZED:
            headers["www-authenticate"] = "Bearer"
        return headers


class ProblemError(Exception):
    """Ends a request with a problem that no error of the runtime stands for."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem

    @classmethod
    def of(
        cls, status: HTTPStatus, detail: str, *, field: str | None = None, retry_after: float | None = None
    ) -> "ProblemError":
        """The error of these members."""
        return cls(Problem(int(status), detail, field, retry_after))


def bad_field(field: str, detail: str) -> ProblemError:
    """The refusal of a request whose `field` is wrong."""
    return ProblemError.of(HTTPStatus.BAD_REQUEST, detail, field=field)


def problem_of(error: Exception) -> Problem:
    """What a client is told of an error; of one that nobody foresaw only that it happened."""
    text = " ".join(str(error).split())
    match error:
        case ProblemError():
            return error.problem
        case InputError():
            return Problem(HTTPStatus.BAD_REQUEST, text)
        case UnknownModelError():
            return Problem(HTTPStatus.NOT_FOUND, text)
        case QueueFullError():
            return Problem(HTTPStatus.TOO_MANY_REQUESTS, text, retry_after=error.retry_after)
        case NotReadyError():
            return Problem(HTTPStatus.SERVICE_UNAVAILABLE, text, retry_after=error.retry_after)
        case ClosedError():
            return Problem(HTTPStatus.SERVICE_UNAVAILABLE, DRAINING, retry_after=1.0)
        case DeadlineError():
            return Problem(HTTPStatus.GATEWAY_TIMEOUT, text)
        case BundleError():
            return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, text)
        case PlanError():
            return Problem(
                HTTPStatus.INTERNAL_SERVER_ERROR, "the engine failed on this batch; the server's log says why"
            )
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the server failed on this request; its log says why")
