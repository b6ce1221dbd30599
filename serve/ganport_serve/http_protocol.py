"""HTTP/1.1 on one connection: uvicorn's, with bounds on heads, on connections and on how long anybody is waited for."""

import asyncio
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from ganport_serve.http_config import Config, Phase
from ganport_serve.http_cycle import HttpCycle
from ganport_serve.problem_answers import ProblemAnswer
from ganport_serve.problems import Problem
from ganport_serve.reasons import reason_of

__all__ = ["HttpProtocol"]

UNPARSED = "unparsed"  # the route of what was refused before it was a request


class HttpProtocol(HttpToolsProtocol):
    """Bounds what uvicorn leaves unbounded.

    The server looks over all connections twice a second (`sweep`), which costs a request nothing, where timers of its
    own would cost it some microseconds.
    """

    config: Config
    cycle: HttpCycle

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self._max_header = self.config.settings.max_header
        self._phase, self._since = Phase.IDLE, self.loop.time()
        self._stuck_since: float | None = None
        self._chunk = self._head_bytes = self._begun = 0
        self._refusal: Problem | None = None
        self._is_deaf = False
        self._task: asyncio.Task[None] | None = None
        self._running: HttpCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or say that there are too many."""
        super().connection_made(transport)
        limit = self.config.settings.max_connections
        if len(self.connections) > limit:
            detail = f"{limit} connections are open, which is all that this server takes; close one, or ask again soon"
            self.refuse(Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, retry_after=1.0))

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody waits for the answer any more, so that its request leaves the queue."""
        super().connection_lost(exc)
        self._abandon()

    def data_received(self, data: bytes) -> None:
        """Parse what came, with a bound on a head that does not end."""
        if self._is_deaf or self._phase is Phase.REFUSED:
            return
        before, self._chunk, self._begun = self._phase, len(data), 0
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._go_on_without_upgrade(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError:
            self._refuse_unparsed()
        if self._phase is Phase.HEAD:
            if self._begun == 0:
                self._head_bytes += len(data)
            else:  # how much of this chunk is of the last head is known only where nothing came before it
                self._head_bytes = len(data) if self._begun == 1 and before is Phase.IDLE else 0
            if self._head_bytes > self._max_header:
                self.refuse(self._head_too_large())

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._head_bytes = 0
        self._begun += 1
        self._enter(Phase.HEAD)

    def on_headers_complete(self) -> None:
        """Start answering, as uvicorn does, in a task that ends with the connection."""
        if self._offers_upgrade():
            return
        self._check_head()
        self._enter(Phase.BODY)
        self._complete_scope()
        self._begin_cycle()

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self._offers_upgrade():
            return
        super().on_message_complete()
        self._enter(Phase.IDLE if self._phase is Phase.UNREAD else Phase.ANSWER)

    def on_response_complete(self) -> None:
        """Go on with the next request; uvicorn would set a timer here for its coming."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self._phase is Phase.ANSWER:
            self._enter(Phase.ANSWER if self.pipeline else Phase.IDLE)
        elif self._phase is Phase.BODY:  # of this request, or of the next, whose body was not read meanwhile
            self._enter(Phase.UNREAD if self.cycle.response_complete else Phase.BODY)
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())

    def pause_writing(self) -> None:
        """The client does not read."""
        super().pause_writing()
        self._stuck_since = self.loop.time()

    def resume_writing(self) -> None:
        """It reads again."""
        super().resume_writing()
        self._stuck_since = None

    def sweep(self, now: float) -> None:
        """End what has lasted too long.

        Args:
            now: the loop's time.
        """
        patience = self.config.patience
        if self._phase is not Phase.CLOSING and self.transport.is_closing():
            self._enter(Phase.CLOSING)
        if self._stuck_since is not None and now - self._stuck_since > patience[Phase.IDLE]:
            self.transport.abort()
        elif now - self._since > patience.get(self._phase, float("inf")):
            self._end_phase()

    def refuse(self, problem: Problem) -> None:
        """Answer what is no request, read no more of it, and let the client go."""
        metrics = self.config.metrics
        metrics.refused(reason_of(problem))
        metrics.request("http", UNPARSED, problem.status, 0.0)
        if self.transport.is_closing() or self._answers_first():
            return
        self._abandon()
        answer = ProblemAnswer.of(problem, {"connection": "close"})
        lines = [STATUS_LINE[problem.status], *(b"%b: %b\r\n" % pair for pair in answer.headers), b"\r\n", answer.body]
        self.transport.write(b"".join(lines))
        self.transport.write_eof()
        self._enter(Phase.REFUSED)

    def _refuse_unparsed(self) -> None:
        """Refuse what the parser does; a callback that refused has left its own problem."""
        detail = "the bytes that came are no request of HTTP/1.1; this connection is closed"
        self.refuse(self._refusal or Problem(HTTPStatus.BAD_REQUEST, detail))

    def _answers_first(self) -> bool:
        """Whether an answer is under way, which would be taken for this refusal: it is given, and no more is read."""
        if self.cycle is None or self.cycle.response_complete:
            return False
        if self._phase is Phase.BODY and not self.cycle.response_started:
            return False  # it is the request under way that is wrong
        self.cycle.keep_alive = False
        self._is_deaf = True
        return True

    def _offers_upgrade(self) -> bool:
        return bool(self.parser.should_upgrade()) and self.parser.get_method() != b"CONNECT"

    def _go_on_without_upgrade(self, rest: bytes) -> None:
        """Read a request that offers another protocol, as some clients always do, as if it had not (RFC 9110, 7.8)."""
        kept = [pair for pair in self.headers if pair[0] not in (b"upgrade", b"connection", b"http2-settings")]
        lines = [b"%b %b HTTP/1.1\r\n" % (self.parser.get_method(), self.url)]
        lines += [b"%b: %b\r\n" % pair for pair in kept]
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"".join((*lines, b"\r\n", rest)))

    def _begin_cycle(self) -> None:
        """Let the application answer the request whose head has come."""
        is_free = self._is_free()
        self.cycle = HttpCycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=self._keeps_alive(),
            on_response=self.on_response_complete,
        )
        self.scope["extensions"] = {"ganport.reply": {"reply": self.cycle.reply}}
        if is_free:
            self._start_asgi_task(self.cycle, self.app)
        else:  # pipelined: it waits for its turn
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def _is_free(self) -> bool:
        """Whether no earlier request of this connection waits for its answer."""
        return self.cycle is None or self.cycle.response_complete

    def _keeps_alive(self) -> bool:
        return bool(self.parser.should_keep_alive()) and self.parser.get_http_version() != "1.0"

    def _abandon(self) -> None:
        """Let go of the request that is being answered; uvicorn tells the last one alone, which may only wait."""
        if self._running is not None:
            self._running.disconnected = True
        if self._task is not None:
            self._task.cancel()

    def _enter(self, phase: Phase) -> None:
        self._phase, self._since = phase, self.loop.time()

    def _end_phase(self) -> None:
        settings, is_answering = self.config.settings, self.cycle is not None and not self.cycle.response_complete
        match self._phase:
            case Phase.HEAD if not is_answering:
                detail = f"the request's head took longer than {settings.header_timeout:g} seconds; send it at once"
                self.refuse(Problem(HTTPStatus.REQUEST_TIMEOUT, detail))
            case Phase.BODY if not self.flow.read_paused:
                detail = f"the request's body took longer than {settings.body_timeout:g} seconds; send it at once"
                self.cycle.fail(Problem(HTTPStatus.REQUEST_TIMEOUT, detail))
            case Phase.IDLE:
                self.transport.close()
            case Phase.UNREAD | Phase.REFUSED | Phase.CLOSING:
                self.transport.abort()

    def _check_head(self) -> None:
        """Refuse a head over the bound; it is counted only where it could be."""
        if self._head_bytes + self._chunk <= self._max_header:
            return
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > self._max_header:
            self._refusal = self._head_too_large()
            raise ValueError(self._refusal.detail)  # httptools ends its parsing with it

    def _head_too_large(self) -> Problem:
        detail = f"the request's line and headers are larger than {self._max_header} bytes; send fewer or shorter ones"
        return Problem(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, detail)

    def _complete_scope(self) -> None:
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        self.scope["method"] = self.parser.get_method().decode("ascii")
        self.scope["http_version"] = self.parser.get_http_version()
        self.scope["path"] = unquote(path) if "%" in path else path
        self.scope["raw_path"] = url.path
        self.scope["query_string"] = url.query or b""

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._running = cycle
        task = self._task = self.loop.create_task(cycle.run_asgi(app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)
