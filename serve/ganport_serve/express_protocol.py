"""HTTP/1.1 on one connection with an express lane: what is whole and small is answered without the application."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

from ganport_serve.express import Admitted, Passage, Question
from ganport_serve.http_config import Phase
from ganport_serve.http_cycle import head_of, lines_of
from ganport_serve.http_protocol import HttpProtocol
from ganport_serve.problems import Problem
from ganport_serve.v2.parsed_request import LONGEST_REMEMBERED

__all__ = ["ExpressProtocol"]


class Known(NamedTuple):
    """A request of this connection that took the express lane, and may come again with other numbers.

    Attributes:
        begin: its bytes up to its body, or up to the end of its JSON where that was read.
        body: where its body begins.
        size: bytes in all.
        admitted: its head.
        question: what it asks for; None where it was refused before that was read, or where it is long.
    """

    begin: bytes
    body: int
    size: int
    admitted: Admitted
    question: Question | None


class ExpressProtocol(HttpProtocol):
    """Gathers a body before anybody is asked to answer it, where its head allows the express lane.

    One request at a time goes this way: what a client sends before it has its answer waits, as everywhere. A client
    that asks again and again sends the same head and JSON each time; a request that comes whole, byte by byte as the
    last one up to its numbers, need not be parsed again.
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
        """Take a request that is known up to its numbers; parse whatever else comes."""
        known = self._known
        is_fresh = self._phase is Phase.IDLE and not self._is_deaf and not self.flow.write_paused
        self._whole = data if is_fresh else b""
        if known is None or not is_fresh or not self._take_known(known, data):
            self._known = None
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
        if not self._take(admitted, body):
            self._begin_cycle()
            self.cycle.body += body
            super().on_message_complete()

    def _take_known(self, known: Known, data: bytes) -> bool:
        """Answer a request that is the known one but for its numbers; False where it has to be read."""
        if len(data) != known.size or not data.startswith(known.begin):
            return False
        self._enter(Phase.ANSWER)
        if self._take(known.admitted, data[known.body :], known.question):
            return True
        self._enter(Phase.IDLE)
        return False

    def _take(self, admitted: Admitted, body: bytes, known: Question | None = None) -> bool:
        """Answer a whole request, now or later; False where it has to go the general way."""
        assert self._express is not None
        self._is_waiting = True
        passage = self._express.take(admitted, body, self._finish, known)
        if self._is_waiting:
            self._passage, self._is_waiting = passage, passage is not None
            if passage is None:
                return False
        if self._known is None or (passage is not None and passage.question is not known):
            self._learn(admitted, None if passage is None else passage.question, body)
        return True

    def _learn(self, admitted: Admitted, question: Question | None, body: bytes) -> None:
        """Remember a request that came in one piece, and nothing with it."""
        whole = self._whole
        at = whole.find(b"\r\n\r\n") + 4
        if self._is_last or len(whole) != at + len(body) or not whole.endswith(body):
            return
        if question is None or question.start > LONGEST_REMEMBERED:
            self._known = Known(whole[:at], at, len(whole), admitted, None)
        else:
            self._known = Known(whole[: at + question.start], at, len(whole), admitted, question)

    def shutdown(self) -> None:
        """Let the connection end with the answer that it waits for."""
        if self._is_waiting:
            self._is_last = True
        else:
            super().shutdown()

    def _finish(self, status: int, lines: bytes, parts: Sequence[bytes | memoryview]) -> None:
        length = sum([len(part) for part in parts])
        head = head_of(status, (lines_of(self.server_state.default_headers), lines), length, is_last=self._is_last)
        data = b"".join((head, *parts))  # before anything else, for there may be no memory for it
        self._is_waiting, self._passage = False, None
        if self.transport.is_closing():
            return
        self.transport.write(data)
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
