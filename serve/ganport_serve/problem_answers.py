"""A refusal as bytes: the status, headers and document that every door of HTTP answers with."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from starlette.exceptions import HTTPException

from ganport_serve.problems import Problem, problem_of

__all__ = ["ProblemAnswer", "answer_to"]

ROUTING = {  # what a router knows is that a path or method is not there
    HTTPStatus.NOT_FOUND: "there is nothing at this path; /openapi.json lists what there is",
    HTTPStatus.METHOD_NOT_ALLOWED: "this path does not take this method; the header Allow names those it takes",
}


@dataclass(frozen=True)
class ProblemAnswer:
    """A problem with its headers and body as they are sent."""

    problem: Problem
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @classmethod
    def of(cls, problem: Problem, headers: Mapping[str, str] | None = None) -> "ProblemAnswer":
        """The answer of a problem, with further headers."""
        body = json.dumps(problem.document()).encode()
        named = {**problem.headers(), **(headers or {}), "content-length": str(len(body))}
        return cls(problem, [(name.lower().encode(), value.encode("latin-1")) for name, value in named.items()], body)


def answer_to(error: Exception) -> ProblemAnswer:
    """The answer to a request that an error has ended, the router's own errors among them."""
    if isinstance(error, HTTPException):
        detail = ROUTING.get(HTTPStatus(error.status_code), error.detail)
        return ProblemAnswer.of(Problem(error.status_code, detail), error.headers)
    return ProblemAnswer.of(problem_of(error))
