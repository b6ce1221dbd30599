"""One request and its answer on a connection: uvicorn's, with a shorter way to answer and a way to give up."""

from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from ganport_serve.problems import Problem, ProblemError

__all__ = ["HttpCycle"]


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
        lines = [STATUS_LINE[HTTPStatus.OK]]
        for name, value in (*self.default_headers, *headers):
            lines += (name, b": ", value, b"\r\n")
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        lines.append(b"content-length: %d\r\n\r\n" % len(body))
        self.transport.writelines((b"".join(lines), body))
        self.response_started = self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
