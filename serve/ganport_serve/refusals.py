"""Every reason for which a request is refused: one table with its HTTP status, gRPC code and meaning."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal, NamedTuple

import msgspec
from ganport_runtime import BundleError, ClosedError, InputError, PlanError
from ganport_runtime.serving import DeadlineError, QueueFullError

from ganport_serve.errors import DRAINING, NotReadyError, UnknownModelError

MEDIA_TYPE = "application/problem+json"
GONE = 499  # the status in log and metrics of a request whose client did not wait for the answer


class Reason(NamedTuple):
    """One row of the table."""

    status: HTTPStatus  # of HTTP
    code: str  # the name of gRPC's status code
    text: str  # what it means, for the OpenAPI document


_S = HTTPStatus
# The metrics count refusals by these names. Where several reasons share a status, OpenAPI shows all their texts.
REASONS: Mapping[str, Reason] = {
    "bad_request": Reason(_S(400), "INVALID_ARGUMENT", "The request is wrong; `field` names the part."),
    "unauthorized": Reason(_S(401), "UNAUTHENTICATED", "This server requires a token."),
    "forbidden": Reason(_S(403), "PERMISSION_DENIED", "The bundle can be changed only with a token."),
    "not_found": Reason(_S(404), "NOT_FOUND", "There is no such path, model, version or file."),
    "bad_method": Reason(_S(405), "UNIMPLEMENTED", "The path does not take this method; see `Allow`."),
    "slow_request": Reason(_S(408), "DEADLINE_EXCEEDED", "The request took too long to arrive."),
    "too_large": Reason(_S(413), "RESOURCE_EXHAUSTED", "The body is larger than this server takes."),
    "bad_media_type": Reason(_S(415), "INVALID_ARGUMENT", "The body has a type that is not read here."),
    "bad_host": Reason(_S(421), "INVALID_ARGUMENT", "`Host` is not a name of this server; see --allowed-host."),
    "bad_bundle": Reason(_S(422), "FAILED_PRECONDITION", "The bundle cannot be served; the previous one is kept."),
    "queue_full": Reason(_S(429), "RESOURCE_EXHAUSTED", "The queue is full; ask again after `Retry-After` seconds."),
    "failed": Reason(_S(500), "INTERNAL", "The engine or the server failed on this request; its log says why."),
    "not_served": Reason(_S(501), "UNIMPLEMENTED", "The protocol has this method, this server does not."),
    "not_ready": Reason(_S(503), "UNAVAILABLE", "The server is starting, or lost its replicas."),
    "draining": Reason(_S(503), "UNAVAILABLE", "The server is stopping."),
    "no_memory": Reason(_S(503), "UNAVAILABLE", "Other requests hold too much memory."),
    "too_many_calls": Reason(_S(503), "UNAVAILABLE", "Too many calls wait for their messages."),
    "deadline": Reason(_S(504), "DEADLINE_EXCEEDED", "The answer would have come too late."),
}


class ProblemDocument(msgspec.Struct):
    """A problem document of RFC 9457."""

    status: int
    title: str
    detail: str
    error: str  # `detail` again, where clients of the Open Inference Protocol look
    type: Literal["about:blank"] = "about:blank"
    field: str | msgspec.UnsetType = msgspec.UNSET
    retry_after: float | msgspec.UnsetType = msgspec.UNSET


@dataclass(frozen=True)
class Problem:
    """One refusal as a client sees it."""

    reason: str  # a key of `REASONS`
    detail: str  # one line: what was given, what is wanted, what to do
    field: str | None = None  # the part of the request that is wrong, where one is
    retry_after: float | None = None  # seconds after which to ask again, where that helps
    allow: str | None = None  # methods that the path takes, where another was used

    @property
    def status(self) -> int:
        """Of HTTP."""
        return REASONS[self.reason].status

    def document(self) -> ProblemDocument:
        """The members of `application/problem+json`."""
        made = ProblemDocument(self.status, HTTPStatus(self.status).phrase, self.detail, self.detail)
        if self.field is not None:
            made.field = self.field
        if self.retry_after is not None:
            made.retry_after = max(1, math.ceil(self.retry_after * 1000)) / 1000
        return made

    def headers(self) -> list[tuple[bytes, bytes]]:
        """The headers that belong to it."""
        headers = [(b"content-type", MEDIA_TYPE.encode()), (b"cache-control", b"no-store")]
        if self.retry_after is not None:
            headers.append((b"retry-after", b"%d" % max(1, math.ceil(self.retry_after))))
        if self.reason == "unauthorized":
            headers.append((b"www-authenticate", b"Bearer"))
        if self.allow is not None:
            headers.append((b"allow", self.allow.encode()))
        return headers


class ProblemError(Exception):
    """Ends a request with a problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


def refuse(reason: str, detail: str, *, field: str | None = None, retry_after: float | None = None) -> ProblemError:
    """The error that ends a request for this reason."""
    return ProblemError(Problem(reason, detail, field, retry_after))


def bad_field(field: str, detail: str) -> ProblemError:
    """The refusal of a request whose `field` is wrong."""
    return ProblemError(Problem("bad_request", detail, field))


def problem_of(error: Exception) -> Problem:
    """What a client is told of an error; of an unforeseen one only that it happened."""
    text = " ".join(str(error).split())
    match error:
        case ProblemError():
            return error.problem
        case InputError():
            return Problem("bad_request", text)
        case UnknownModelError():
            return Problem("not_found", text)
        case QueueFullError():
            return Problem("queue_full", text, retry_after=error.retry_after)
        case NotReadyError():
            return Problem("draining" if text == DRAINING else "not_ready", text, retry_after=error.retry_after)
        case ClosedError():
            return Problem("draining", DRAINING, retry_after=1.0)
        case DeadlineError():
            return Problem("deadline", text)
        case BundleError():
            return Problem("bad_bundle", text)
        case PlanError():
            return Problem("failed", "the engine failed on this batch; the server's log says why")
    return Problem("failed", "the server failed on this request; its log says why")
