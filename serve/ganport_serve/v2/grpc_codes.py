"""The gRPC code of every problem, from one table."""

import grpc  # type: ignore[import-untyped]
from ganport_runtime.text import one_line

from ganport_serve.problems import Problem

__all__ = ["code_of", "detail_of", "trailers_of"]

_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    406: grpc.StatusCode.INVALID_ARGUMENT,
    408: grpc.StatusCode.DEADLINE_EXCEEDED,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    415: grpc.StatusCode.INVALID_ARGUMENT,
    422: grpc.StatusCode.FAILED_PRECONDITION,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    501: grpc.StatusCode.UNIMPLEMENTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
_LONGEST = 1000  # characters: details travel as a header


def code_of(problem: Problem) -> grpc.StatusCode:
    """The code of a problem; INTERNAL where no other fits."""
    return _CODES.get(problem.status, grpc.StatusCode.INTERNAL)


def detail_of(problem: Problem) -> str:
    """One line: the field that is wrong, what was given and what is wanted."""
    field = "" if problem.field is None else f"{problem.field}: "
    return one_line(f"{field}{problem.detail}", _LONGEST)


def trailers_of(problem: Problem) -> tuple[tuple[str, str], ...]:
    """Trailing metadata: `retry-after-ms` where asking again helps."""
    if problem.retry_after is None:
        return ()
    return (("retry-after-ms", str(max(1, round(problem.retry_after * 1000)))),)
