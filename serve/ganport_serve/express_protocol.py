"""HTTP/1.1 on one connection with an express lane: what is whole and small is answered without the application."""

from http import HTTPStatus
from typing import Any, NamedTuple

from ganport_serve.express import Admitted, Passage
from ganport_serve.http_config import Phase
from ganport_serve.http_cycle import head_of
from ganport_serve.http_protocol import HttpProtocol
from ganport_serve.problems import Problem

__all__ = ["ExpressProtocol"]


class Known(NamedTuple):
    """A request of this connection that went through the express lane, whose head may come again.

    Attributes:
        head: its bytes up to the body.
        size: bytes of head and body.
        admitted: what the head says.
    """

    head: bytes
    size: int
    admitted: Admitted


class ExpressProtocol(HttpProtocol):
    """Gathers a body before anybody is asked to answer it, where its head allows the express lane.

    One request at a time goes this way: what a client sends before it has its answer waits, as everywhere. A client
    that asks again and again sends the same head each time; one that comes whole, byte by byte as the last one, with a
    body of the same length, need not be parsed again.
    """

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self._express = self.config.express
        self._admitted: Admitted | None = None  # the request whose body is being gathered
        self._parts: list[bytes] = []
        self._is_waiting = self._is_last = False
        self._passage: Passage | None = None
        self._known: Known | None = None
        self._whole = b""  # what came in one piece, while that may be one request

    def data_received(self, data: bytes) -> None:
        """Take a request whose head is known; parse whatever else comes."""
        known = self._known
        is_fresh = self._phase is Phase.IDLE and not self._is_deaf and not self.flow.write_paused
        if known is not None and is_fresh and len(data) == known.size and data.startswith(known.head):
            self._enter(Phase.ANSWER)
            if self._take(known.admitted, data[len(known.head) :]):
                return
            self._enter(Phase.IDLE)  # it has to be read after all
        self._known, self._whole = None, data if is_fresh else b""
        super().data_received(data)
        self._whole = b""

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody waits for the answer any more, so that its request leaves the queue."""
        super().connection_lost(exc)
        passage, self._passage, self._admitted = self._passage, None, None
        if passage is not None and self._is_waiting:
            self._is_waiting = False
            passage.cancel()

    def on_headers_complete(self) -> None:
        """See whether the request may take the express lane."""
        if self._express is None or not self._is_free() or self.flow.write_paused or self._offers_upgrade():
            super().on_headers_complete()
            return
        self._check_head()
        self._enter(Phase.BODY)
        self._complete_scope()
        self._admitted = self._express.admit(self.scope)
        if self._admitted is None:
            self._begin_cycle()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        if self._admitted is not None:
            self._parts.append(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole: answer it this way if that is possible, else the general way."""
        admitted, self._admitted = self._admitted, None
        if admitted is None:
            super().on_message_complete()
            return
        body = b"".join(self._parts)
        self._parts.clear()
        self._enter(Phase.ANSWER)
        self._is_last = not self._keeps_alive()
        self._learn(admitted, body)
        if not self._take(admitted, body):
            self._begin_cycle()
            self.cycle.body += body
            super().on_message_complete()

    def _take(self, admitted: Admitted, body: bytes) -> bool:
        """Answer a whole request, now or later; False where it has to go the general way."""
        assert self._express is not None
        self._is_waiting = True
        passage = self._express.take(admitted, body, self._finish)
        if not self._is_waiting:  # answered already
            return True
        self._passage, self._is_waiting = passage, passage is not None
        return self._is_waiting

    def _learn(self, admitted: Admitted, body: bytes) -> None:
        """Remember a head that came in one piece with its body, and nothing else."""
        end = self._whole.find(b"\r\n\r\n") + 4
        if not self._is_last and len(self._whole) == end + len(body) and self._whole.endswith(body):
            self._known = Known(self._whole[:end], len(self._whole), admitted)

    def shutdown(self) -> None:
        """Let the connection end with the answer that it waits for."""
        if self._is_waiting:
            self._is_last = True
        else:
            super().shutdown()

    def _finish(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes | bytearray | memoryview) -> None:
        self._is_waiting, self._passage = False, None
        if self.transport.is_closing():
            return
        named = (*self.server_state.default_headers, *headers)
        lines = head_of(status, named, len(body), is_last=self._is_last)
        lines.append(body)
        self.transport.write(b"".join(lines))
        if self._is_deaf:  # closed over what was not read, the connection would be reset and the answer lost
            self.transport.write_eof()
            self._enter(Phase.REFUSED)
            return
        if self._is_last:
            self.transport.close()
        self.on_response_complete()

    def _answers_first(self) -> bool:
        if not self._is_waiting:
            return super()._answers_first()
        self._is_last = self._is_deaf = True
        return True

    def _is_free(self) -> bool:
        return not self._is_waiting and super()._is_free()

    def _end_phase(self) -> None:
        if self._phase is Phase.BODY and self._admitted is not None:
            self._admitted = None
            seconds = self.config.settings.body_timeout
            detail = f"the request's body took longer than {seconds:g} seconds; send it at once"
            self.refuse(Problem(HTTPStatus.REQUEST_TIMEOUT, detail))
        else:
            super()._end_phase()
