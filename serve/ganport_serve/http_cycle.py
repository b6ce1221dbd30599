"""One request and its answer on a connection: uvicorn's, with a shorter way to answer and a way to give up."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from ganport_serve.problems import Problem, ProblemError

__all__ = ["HttpCycle", "head_of", "lines_of"]


def lines_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Headers as they are sent."""
    return b"".join([b"%b: %b\r\n" % pair for pair in headers])


def head_of(status: int, lines: Iterable[bytes], length: int, *, is_last: bool) -> bytes:
    """The head of an answer.

    Args:
        status: of the answer.
        lines: of its headers, but for the two that this adds.
        length: bytes of the body.
        is_last: whether the connection ends with it.
    """
    close = b"connection: close\r\n" if is_last else b""
    return b"%b%b%bcontent-length: %d\r\n\r\n" % (STATUS_LINE[status], b"".join(lines), close, length)


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
        lines = (lines_of(self.default_headers), lines_of(headers))
        head = head_of(HTTPStatus.OK, lines, len(body), is_last=not self.keep_alive)
        self.transport.writelines((head, body))
        self.response_started = self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
