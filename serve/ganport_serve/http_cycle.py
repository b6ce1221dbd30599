"""One request and its answer on a connection: uvicorn's, with a shorter way to answer and a way to give up."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from ganport_serve.problems import Problem, ProblemError

__all__ = ["HttpCycle", "head_of"]

Buffer = bytes | bytearray | memoryview


def head_of(status: int, headers: Iterable[tuple[bytes, bytes]], length: int, *, is_last: bool) -> list[Buffer]:
    """The head of an answer in pieces, to be joined.

    Args:
        status: of the answer.
        headers: without the two that it adds.
        length: bytes of the body.
        is_last: whether the connection ends with it.
    """
    lines: list[Buffer] = [STATUS_LINE[status]]
    for name, value in headers:
        lines += (name, b": ", value, b"\r\n")
    if is_last:
        lines.append(b"connection: close\r\n")
    lines.append(b"content-length: %d\r\n\r\n" % length)
    return lines


class HttpCycle(RequestResponseCycle):
    """What ASGI's `receive` and `send` of one request stand for."""

    _failure: Problem | None = None

    def fail(self, problem: Problem) -> None:
        """Let whoever reads the body know that no more of it comes."""
        self._failure = problem
        self.message_event.set()

    async def receive(self) -> Any:
        """The next part of the body.

        Raises:
            ProblemError: it did not come in time.
        """
        message = await super().receive()
        if self._failure is not None and not self.response_started:
            raise ProblemError(self._failure)
        return message

    async def reply(self, headers: list[tuple[bytes, bytes]], body: bytes | bytearray | memoryview) -> None:
        """Answer 200 with a whole body: `send` would take two calls, a task switch and a check of each header."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        named = (*self.default_headers, *headers)
        lines = head_of(HTTPStatus.OK, named, len(body), is_last=not self.keep_alive)
        self.transport.writelines((b"".join(lines), body))
        self.response_started = self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
