"""What every call of gRPC passes: its token, its message, its deadline, the code of a refusal, and the metrics."""

import asyncio
import hmac
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any

import grpc  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError, Message  # type: ignore[import-untyped]

from ganport_serve.errors import NotReadyError
from ganport_serve.exchange import GONE
from ganport_serve.lifecycle import Lifecycle
from ganport_serve.problems import Problem, ProblemError, bad_field, problem_of
from ganport_serve.reasons import reason_of
from ganport_serve.service import Service
from ganport_serve.v2.grpc_codes import code_of, detail_of, trailers_of
from ganport_serve.v2.grpc_wire import check_parts
from ganport_serve.v2.in_order import in_order

__all__ = ["Answer", "GrpcEdge", "Method", "Outcome"]

log = logging.getLogger(__name__)

Context = Any  # grpc.aio.ServicerContext: grpcio carries no types
Proto = Any  # some generated message: tritonclient's stubs carry no types
Answer = Callable[[Proto, float | None], Awaitable[Message]]  # of a request, within so many seconds; None: whenever

WINDOW = 64  # requests of one stream that are under way at once


@dataclass(frozen=True)
class Method:
    """One method of the protocol's service.

    Attributes:
        name: as the protocol has it.
        message: the type of its requests.
        answer: makes its answer.
        wants_token: whether a server that has a token asks for it.
    """

    name: str
    message: type[Message]
    answer: Answer
    wants_token: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one request.

    Attributes:
        request: the message; None where its bytes are no such message, or it came without a token.
        answer: to it, or why there is none.
    """

    request: Proto | None
    answer: Message | Problem


class GrpcEdge:
    """Turns methods into handlers that refuse in codes and count what they do.

    Args:
        service: whose token is asked for, and whose metrics count.
        lifecycle: counts the requests, those of a stream each.
        stop: once it is set, streams end as soon as what they have sent is answered.
    """

    def __init__(self, service: Service, lifecycle: Lifecycle, stop: asyncio.Event) -> None:
        token, self._lifecycle, self._stop = service.settings.token, lifecycle, stop
        self._metrics, self._token = service.metrics, None if token is None else token.encode()

    def unary(self, method: Method) -> grpc.RpcMethodHandler:
        """The handler of one request and one answer."""

        async def handle(data: bytes, context: Context) -> Message:
            answer = (await self._answer(method, data, context)).answer
            if isinstance(answer, Problem):
                await _abort(context, answer)
            return answer

        return grpc.unary_unary_rpc_method_handler(handle, response_serializer=_bytes)

    def stream(self, method: Method, wrap: Callable[[Outcome], Message]) -> grpc.RpcMethodHandler:
        """The handler of many requests, answered in their order; one that is refused does not end the others.

        Args:
            method: that answers each.
            wrap: makes the stream's message of what became of a request.
        """

        async def handle(requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[Message]:
            answer = partial(self._answer, method, context=context)
            try:
                async with aclosing(in_order(requests, answer, window=WINDOW, stop=self._stop)) as outcomes:
                    async for outcome in outcomes:
                        if isinstance(outcome.answer, Problem) and outcome.answer.status == HTTPStatus.UNAUTHORIZED:
                            await _abort(context, outcome.answer)
                        yield wrap(outcome)
            except NotReadyError as error:
                await _abort(context, problem_of(error))

        return grpc.stream_stream_rpc_method_handler(handle, response_serializer=_bytes)

    async def _answer(self, method: Method, data: bytes, context: Context) -> Outcome:
        """The method's answer, or why there is none; either is counted."""
        begin, status, request = time.perf_counter(), GONE, None
        self._lifecycle.enter()
        try:
            if self._token is not None and method.wants_token:
                _check_token(context, self._token)
            request = _parsed(method, data)
            answer = await method.answer(request, context.time_remaining())
            status = int(HTTPStatus.OK)
            return Outcome(request, answer)
        except Exception as error:
            problem = problem_of(error)
            status = problem.status
            self._metrics.refused(reason_of(problem))
            if status == HTTPStatus.INTERNAL_SERVER_ERROR:
                log.error("call failed", exc_info=error, extra={"method": method.name})
            return Outcome(request, problem)
        finally:
            self._lifecycle.leave()
            self._metrics.request("grpc", method.name, status, time.perf_counter() - begin)


async def _abort(context: Context, problem: Problem) -> None:
    await context.abort(code_of(problem), detail_of(problem), trailers_of(problem))


def _bytes(message: Message) -> bytes:
    data: bytes = message.SerializeToString()
    return data


def _parsed(method: Method, data: bytes) -> Proto:
    check_parts(data)
    try:
        return method.message.FromString(data)
    except DecodeError:
        raise bad_field("message", f"the message is no {method.message.__name__}") from None


def _check_token(context: Context, wanted: bytes) -> None:
    values = [value for key, value in context.invocation_metadata() or () if key == "authorization"]
    scheme, _, token = (values[0] if len(values) == 1 else "").partition(" ")
    if not hmac.compare_digest(token.strip().encode(), wanted) or scheme.lower() != "bearer":
        was = "with another one" if values else "without it"
        detail = f"this server wants its token as metadata, 'authorization: Bearer TOKEN', and the call came {was}"
        raise ProblemError.of(HTTPStatus.UNAUTHORIZED, detail)
