"""The Open Inference Protocol over gRPC: every call passes here, with its token, limits and accounting.

gRPC hands out a message when it is whole, and buffers it meanwhile where no budget sees it. So a call's token is
checked before any of its message is received, messages have a time to arrive, and `Receiver` ends the calls that wait
for theirs when gRPC's buffers grow too large.
"""

import asyncio
import ctypes
import logging
import resource
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import grpc  # type: ignore[import-untyped]
from ganport_runtime.errors import one_line
from google.protobuf.message import Message  # type: ignore[import-untyped]
from tritonclient.grpc import service_pb2 as pb  # type: ignore[import-untyped]

from ganport_serve.bundles import is_loading
from ganport_serve.errors import DRAINING, NotReadyError
from ganport_serve.http import check_token
from ganport_serve.refusals import GONE, REASONS, Problem, problem_of, refuse
from ganport_serve.service import ByteBudget, Hold, Service
from ganport_serve.settings import Settings
from ganport_serve.v2.messages import (
    METHODS,
    AnswerMethod,
    Proto,
    infer,
    not_served,
    parse_message,
    raw_bytes,
)

Context = Any  # grpc.aio.ServicerContext: grpcio carries no types
StreamRequest = TypeVar("StreamRequest")
StreamAnswer = TypeVar("StreamAnswer")
DEFINITION = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"]
FINAL = "triton_final_response"
INFERENCE = ("ModelInfer", "ModelStreamInfer")
WITHOUT_TOKEN = ("ServerLive", "ServerReady")  # and without a look at their messages, which hold nothing
WINDOW = 64  # requests of one stream that are under way at once
STREAMS = 1024  # calls of one connection at once
WAITING = 1024  # calls that may wait for a message, and as many whose answer is not read yet; the oldest one goes
BUFFERED = 192 * 2**20  # bytes that messages under way may take in gRPC's own buffers
LOOK = 0.1  # seconds between two looks at them
SLOWEST = 64 * 2**10  # bytes a second at which an answer must be read, after `write_timeout`
LONGEST_DETAIL = 1000  # characters: details travel as a header
log = logging.getLogger(__name__)


class GrpcServer:
    """grpcio's server. Made on the running event loop on which it will live."""

    def __init__(self, service: Service) -> None:
        self._calls = Calls(service)
        self._server = grpc.aio.server(options=_options(service.settings))
        handlers = {}
        for definition in DEFINITION.methods:
            method = Method(definition.name, getattr(pb, definition.input_type.name))
            handle = self._calls.stream if method.name == "ModelStreamInfer" else self._calls.unary
            handlers[method.name] = grpc.stream_stream_rpc_method_handler(partial(handle, method))
        generic = grpc.method_handlers_generic_handler(DEFINITION.full_name, handlers)
        self._server.add_generic_rpc_handlers((generic,))

    def add_insecure_port(self, address: str) -> int:
        """Listen at `host:port` too; returns the port. Raises RuntimeError: it is taken."""
        port: int = self._server.add_insecure_port(address)
        return port

    async def start(self) -> None:
        """Take calls."""
        await self._server.start()
        self._calls.receiver.start()

    async def stop(self, grace: float | None) -> None:
        """Refuse what comes, and wait so many seconds for what is under way; None: not at all."""
        self._calls.stop()
        await self._server.stop(grace)


def _options(settings: Settings) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", settings.max_body),
        ("grpc.max_send_message_length", -1),  # answers are bounded by the count of images
        ("grpc.max_metadata_size", settings.max_header),
        ("grpc.max_concurrent_streams", STREAMS),
        ("grpc.max_allowed_incoming_connections", settings.max_grpc_connections),
        ("grpc.max_connection_idle_ms", round(settings.idle_timeout * 1000)),
        ("grpc.server_handshake_timeout_ms", 5000),  # a connection that says nothing
        ("grpc.so_reuseport", 0),  # a port in use is an error, not shared
        ("grpc.http2.bdp_probe", 0),  # or what comes unread would grow with the connection's speed
    ]


class Method(NamedTuple):
    """One method of the protocol's service: its name and the type of its requests."""

    name: str
    message: type[Message]


class Crowd:
    """Calls that wait for their client, in the order in which they began to; over the limit the oldest is ended.

    An honest client is seldom the oldest, so that clients who keep calls waiting cannot shut out the others.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._begun: dict[asyncio.Timeout, float] = {}
        self.ended: set[asyncio.Timeout] = set()

    def enter(self, timeout: asyncio.Timeout) -> None:
        """A call begins to wait, under this timeout."""
        self._begun[timeout] = time.monotonic()
        if len(self._begun) > self._most:
            self._end(next(iter(self._begun)))

    def leave(self, timeout: asyncio.Timeout) -> bool:
        """It waits no more; returns whether it was ended."""
        self._begun.pop(timeout, None)
        was_ended = timeout in self.ended
        self.ended.discard(timeout)
        return was_ended

    def end(self, older_than: float) -> int:
        """End those that have waited so many seconds; returns how many."""
        limit = time.monotonic() - older_than
        old = [timeout for timeout, begun in self._begun.items() if begun <= limit]
        for timeout in old:
            self._end(timeout)
        return len(old)

    def _end(self, timeout: asyncio.Timeout) -> None:
        del self._begun[timeout]
        if timeout.expired():  # its own time is over, and it has not noticed yet
            return
        self.ended.add(timeout)
        timeout.reschedule(asyncio.get_running_loop().time())


class Receiver:
    """Receives messages, and bounds what gRPC buffers of those that are not whole yet.

    gRPC has no bound of its own over all calls, and does not say what it holds. It is what this process has grown by
    beyond the budget's own count. When that is too much, every call that has waited longer than a look is ended: small
    messages come whole at once, so that their clients do not notice.
    """

    def __init__(self, settings: Settings, budget: ByteBudget) -> None:
        self._seconds, self._budget = settings.body_timeout, budget
        self._waiting, self._between = Crowd(WAITING), Crowd(WAITING)  # for a call's first message, and a further one
        self._watch: asyncio.Task[None] | None = None

    async def message(self, context: Context, *, is_first: bool = True) -> bytes | None:
        """The next message of a call; None: its client sends no more."""
        timeout = asyncio.timeout(self._seconds if is_first else None)
        waiting = self._waiting if is_first else self._between
        was_ended = False
        try:
            async with timeout:
                waiting.enter(timeout)
                try:
                    data = await context.read()
                finally:
                    was_ended = waiting.leave(timeout)
        except TimeoutError:
            if was_ended:
                detail = "too many calls wait for their messages; send each at once, and ask again soon"
                raise refuse("too_many_calls", detail, retry_after=1.0) from None
            detail = f"the message took longer than {self._seconds:g} seconds; send it at once"
            raise refuse("slow_request", detail) from None
        return None if data is grpc.aio.EOF else data

    def start(self) -> None:
        """Look at gRPC's buffers from now on."""
        self._watch = asyncio.ensure_future(self._look())

    def stop(self) -> None:
        """Wait for no message any more."""
        if self._watch is not None:
            self._watch.cancel()
        self._waiting.end(0.0)
        self._between.end(0.0)

    async def _look(self) -> None:
        calm = _resident() - self._budget.held
        while True:
            await asyncio.sleep(LOOK)
            try:
                calm = await self._look_once(calm)
            except Exception:
                log.exception("a look at gRPC's buffers failed")

    async def _look_once(self, calm: int) -> int:
        """End calls where this process has grown too much beyond `calm` bytes; returns what to compare with next."""
        own = _resident() - self._budget.held
        if is_loading():  # a bundle's networks take memory too
            return max(calm, own)
        if own - calm <= BUFFERED:
            return calm
        # Streams between two messages are idle for the most part, so those that wait for a first one go before them.
        ended = self._waiting.end(LOOK) or self._between.end(LOOK)
        await asyncio.sleep(LOOK)
        _give_back_memory()
        if ended:
            log.warning("messages under way were too large together", extra={"ended": ended, "bytes": own - calm})
        return max(calm, _resident() - self._budget.held - BUFFERED // 2)


def _resident() -> int:
    """Bytes of this process's memory; 0 where the system does not say."""
    with suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    return 0


def _give_back_memory() -> None:
    """Let the allocator return what it has free, which it keeps otherwise."""
    with suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)


class Calls:
    """Answers calls: checks, counts and refuses them. `receiver`: of their messages."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.receiver = Receiver(service.settings, service.budget)
        self._writing = Crowd(WAITING)
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Wait for no message any more; what was received is answered."""
        self._stop.set()
        self.receiver.stop()

    async def unary(self, method: Method, _: AsyncIterator[bytes], context: Context) -> None:
        """One request and one answer.

        Its handler has gRPC's kind for streams, since for the others gRPC receives the message before any check.
        """
        begun, hold = time.perf_counter(), self._service.budget.hold()
        problem, status = None, GONE
        is_active = False
        try:
            self._check_token(method, context)
            data = b"" if method.name in WITHOUT_TOKEN else await self.receiver.message(context)
            self._service.lifecycle.enter()
            is_active = True
            hold.take(len(data or b""))
            answer = await self._answer(method, parse_message(method.message, data or b""), context, hold)
            data = _serialized(answer, hold, raw_bytes(answer))
            del answer  # whose bytes are held no more
            await self._write(context, data)
            status = int(HTTPStatus.OK)
        except Exception as error:
            problem = self._refused(method, error)
            status = problem.status
        finally:
            hold.release()
            if is_active:
                self._service.lifecycle.leave()
            self._service.metrics.request("grpc", method.name, status, time.perf_counter() - begun)
        if problem is not None:
            await _abort(context, problem)

    async def stream(self, method: Method, _: AsyncIterator[bytes], context: Context) -> None:
        """Many requests, answered in their order; one that is refused does not end the others."""
        hold = self._service.budget.hold()
        try:
            self._check_token(method, context)
            answer = partial(self._of_stream, method, context, hold)
            messages = self._messages(context)
            async with aclosing(in_order(messages, answer, window=WINDOW, stop=self._stop)) as answers:
                async for data, size in answers:
                    await self._write(context, data)
                    hold.take(-size)
        except Exception as error:
            problem = self._refused(method, error)
            self._service.metrics.request("grpc", method.name, problem.status, 0.0)
        else:
            return
        finally:
            hold.release()
        await _abort(context, problem)

    async def _messages(self, context: Context) -> AsyncGenerator[bytes, None]:
        data = await self.receiver.message(context)
        while data is not None:
            yield data
            data = await self.receiver.message(context, is_first=False)

    async def _of_stream(self, method: Method, context: Context, hold: Hold, data: bytes) -> tuple[bytes, int]:
        """A stream's answer to one request, and what both hold; the answer says that no further one follows."""
        begun, status, request_id, size = time.perf_counter(), GONE, "", 0
        self._service.lifecycle.enter()
        try:
            hold.take(len(data))
            size = len(data)
            request = parse_message(method.message, data)
            request_id = request.id
            answer = await self._answer(method, request, context, hold)
            size += raw_bytes(answer)
            answer.parameters[FINAL].bool_param = True
            status = int(HTTPStatus.OK)
            written = _serialized(pb.ModelStreamInferResponse(infer_response=answer), hold, raw_bytes(answer))
            return written, len(data) + len(written)
        except Exception as error:
            problem = self._refused(method, error)
            status = problem.status
            response = pb.ModelInferResponse(id=request_id)
            written = pb.ModelStreamInferResponse(error_message=detail_of(problem), infer_response=response)
            return written.SerializeToString(), size
        finally:
            self._service.lifecycle.leave()
            self._service.metrics.request("grpc", method.name, status, time.perf_counter() - begun)

    async def _answer(self, method: Method, request: Proto, context: Context, hold: Hold) -> Proto:
        if method.name in INFERENCE:
            return await infer(self._service, request, context.time_remaining(), hold)
        answer: AnswerMethod = METHODS.get(method.name, not_served)
        return await answer(self._service, request, context.time_remaining())

    async def _write(self, context: Context, data: bytes) -> None:
        """Send an answer, as long as its client reads it."""
        timeout = asyncio.timeout(self._service.settings.write_timeout + len(data) / SLOWEST)
        try:
            async with timeout:
                self._writing.enter(timeout)
                try:
                    await context.write(data)
                finally:
                    self._writing.leave(timeout)
        except TimeoutError:
            raise refuse("slow_request", "the answer was not read in time; the call is ended") from None
        except grpc.aio.InternalError:  # the client has left
            raise asyncio.CancelledError from None

    def _check_token(self, method: Method, context: Context) -> None:
        token = self._service.settings.token
        if token is not None and method.name not in WITHOUT_TOKEN:
            given = ", ".join(value for key, value in context.invocation_metadata() or () if key == "authorization")
            check_token(given.encode(), token)

    def _refused(self, method: Method, error: Exception) -> Problem:
        problem = problem_of(error)
        self._service.metrics.refused(problem.reason)
        if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("call failed", exc_info=error, extra={"method": method.name})
        return problem


def _serialized(answer: Message, hold: Hold, held: int) -> bytes:
    """An answer as bytes, which are charged in place of those that are held for it."""
    data: bytes = answer.SerializeToString()
    hold.take(len(data) - held)
    return data


def detail_of(problem: Problem) -> str:
    """One line: the field that is wrong, what was given and what is wanted."""
    field = "" if problem.field is None else f"{problem.field}: "
    return one_line(f"{field}{problem.detail}", LONGEST_DETAIL)


async def _abort(context: Context, problem: Problem) -> None:
    """End a call with the code of a problem; trailing `retry-after-ms` says when asking again helps."""
    trailers: tuple[tuple[str, str], ...] = ()
    if problem.retry_after is not None:
        trailers = (("retry-after-ms", str(max(1, round(problem.retry_after * 1000)))),)
    try:
        await context.abort(grpc.StatusCode[REASONS[problem.reason].code], detail_of(problem), trailers)
    except grpc.aio.InternalError:  # an answer that nobody reads is in the way of the status
        raise asyncio.CancelledError from None


async def in_order(
    requests: AsyncIterator[StreamRequest],
    answer: Callable[[StreamRequest], Awaitable[StreamAnswer]],
    *,
    window: int,
    stop: asyncio.Event,
) -> AsyncGenerator[StreamAnswer, None]:
    """The answer of each request, in the order of the requests.

    Raises NotReadyError: `stop` was set before the requests came to their end; those that were read are answered.
    """
    source, room = aiter(requests), asyncio.Semaphore(window)
    begun: asyncio.Queue[asyncio.Future[StreamAnswer] | None] = asyncio.Queue()

    async def begin() -> None:
        try:
            while True:
                await room.acquire()  # before reading: what was read and waited for room here would be lost by a stop
                try:
                    request = await anext(source)
                except StopAsyncIteration:
                    return
                begun.put_nowait(asyncio.ensure_future(answer(request)))
        finally:
            begun.put_nowait(None)

    reader, stopping = asyncio.ensure_future(begin()), asyncio.ensure_future(stop.wait())
    stopping.add_done_callback(lambda _: reader.cancel())
    under_way: asyncio.Future[StreamAnswer] | None = None
    try:
        while (under_way := await begun.get()) is not None:
            yield await under_way
            room.release()
        await asyncio.wait((reader,))
        if reader.cancelled():
            raise NotReadyError(DRAINING)
        reader.result()
    finally:
        stopping.cancel()
        await _give_up(reader, under_way, begun)


async def _give_up(
    reader: asyncio.Future[None],
    under_way: asyncio.Future[StreamAnswer] | None,
    begun: asyncio.Queue[asyncio.Future[StreamAnswer] | None],
) -> None:
    reader.cancel()
    rest = [] if under_way is None else [under_way]
    while not begun.empty():
        rest += [item] if (item := begun.get_nowait()) is not None else []
    for item in rest:
        item.cancel()
    await asyncio.gather(reader, *rest, return_exceptions=True)
