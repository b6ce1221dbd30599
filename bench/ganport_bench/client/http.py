"""The HTTP/1.1 client of all loads: many keep-alive connections, driven by one thread.

It writes requests and reads answers on non-blocking sockets, without copies and without an HTTP library: client,
server and engine share the machine's cores, so every microsecond of the client is missing in the result.
"""

import gc
import resource
import selectors
import socket
import time
from collections.abc import Iterator
from errno import EMFILE, ENFILE
from typing import Self

from ganport_bench.client.outcome import OK, AnswerCheck, Outcome, OutcomeLog
from ganport_bench.client.requests import Endpoint
from ganport_bench.errors import BenchError

PATIENCE = 30.0  # seconds without any answer after which all missing answers are lost
SEND_TIMEOUT = 10.0  # seconds for a request that does not fit into the socket's buffer
SPACE = 64 * 2**10  # bytes of an answer at first
HEADS = 256  # response heads that are remembered; `date` makes a new one every second
END = b"\r\n\r\n"
OTHER_FILES = 256  # file descriptors beside the connections
clock = time.perf_counter  # monotonic

Head = tuple[int, int, bool]  # status, bytes of the body, whether the connection stays open
_heads: dict[bytes, Head] = {}


class BrokenError(Exception):
    """The connection was lost, or what arrived is no answer; the text says which, in few words."""


class Connection:
    """A keep-alive connection with at most one request in flight, and the answer that arrives on it."""

    __slots__ = ("_filled", "_status", "_view", "begin", "buffer", "end", "first", "number", "seed", "socket", "stays")

    def __init__(self, host: str, port: int, timeout: float = 10.0) -> None:
        self.socket = socket.create_connection((host, port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.buffer = bytearray(SPACE)
        self._view = memoryview(self.buffer)
        self._filled = self._status = 0
        self.begin = self.end = 0  # of the answer's body in `buffer`; `end` is 0 until the head is complete
        self.number, self.seed = -1, 0  # of the request in flight; -1 if there is none
        self.first = 0.0  # the clock when the answer's first bytes arrived
        self.stays = True  # whether the server keeps the connection open after it

    def fileno(self) -> int:  # noqa: D102
        return self.socket.fileno()

    def send(self, request: bytes) -> None:
        """Send all of a request. Raises BrokenError if the server closed the connection, or does not read."""
        self._filled = self.end = 0
        try:
            sent = self.socket.send(request)
            if sent < len(request):
                self.socket.settimeout(SEND_TIMEOUT)
                self.socket.sendall(request[sent:])
                self.socket.setblocking(False)
        except OSError as error:
            raise BrokenError(f"sending: {_reason(error)}") from None

    def receive(self) -> int:
        """Read what has arrived; the status once the answer is complete, else 0.

        Raises BrokenError if the connection was closed, or what arrived is no answer.
        """
        try:
            received = self.socket.recv_into(self._view[self._filled :])
        except BlockingIOError:
            return 0
        except OSError as error:
            raise BrokenError(_reason(error)) from None
        if received == 0:
            raise BrokenError("closed in the middle of an answer" if self._filled else "closed without an answer")
        if not self._filled:
            self.first = clock()
        self._filled += received
        if self.end == 0 and not self._read_head():
            return 0
        if self._filled > self.end:
            raise BrokenError("more than one answer")
        return self._status if self._filled == self.end else 0

    @property
    def is_closed(self) -> bool:  # noqa: D102
        return self.socket.fileno() < 0

    def close(self) -> None:  # noqa: D102
        self.socket.close()

    def _read_head(self) -> bool:
        at = self.buffer.find(END, 0, self._filled)
        if at < 0:
            if self._filled == len(self.buffer):
                raise BrokenError("headers without an end")
            return False
        text = bytes(self._view[:at])
        head = _heads.get(text)
        if head is None:
            if len(_heads) >= HEADS:
                _heads.clear()
            head = _heads[text] = _parsed(text)
        self._status, size, self.stays = head
        self.begin = at + len(END)
        self.end = self.begin + size
        if self.end > len(self.buffer):
            self._grow(self.end)
        return True

    def _grow(self, size: int) -> None:
        larger = bytearray(size + 1)  # one more, or a second answer would look like a closed connection
        larger[: self._filled] = self._view[: self._filled]
        self.buffer, self._view = larger, memoryview(larger)


def _parsed(text: bytes) -> Head:
    first, *lines = text.split(b"\r\n")
    version, _, rest = first.partition(b" ")
    if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
        raise BrokenError("no HTTP answer")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
    size = headers.get(b"content-length", b"")
    if not size.isdigit():
        raise BrokenError("an answer without a content-length")
    return int(rest[:3]), int(size), headers.get(b"connection", b"").lower() != b"close"


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


class HttpClient:
    """Sends requests and receives, times and checks the answers; a context manager.

    Raises BenchError if the server takes no connection.
    """

    def __init__(self, endpoint: Endpoint, check: AnswerCheck, connections: int, patience: float = PATIENCE) -> None:
        self._endpoint, self._check, self._patience = endpoint, check, patience
        self._request, self._seed_of = endpoint.encoder.request, check.seed_of
        self._log = OutcomeLog()
        self._selector = selectors.DefaultSelector()
        self.idle: list[Connection] = []  # without a request when the client is entered
        self.in_the_air = 0  # requests without an answer
        _allow_files(connections)
        try:
            self.idle += [self._connected() for _ in range(connections)]
        except BaseException:
            self.close()
            raise
        self.begun = self._latest = clock()
        self._cpu = time.process_time()

    def __enter__(self) -> Self:
        """Pause garbage collection: it would show as latency."""
        gc.collect()
        gc.disable()
        self.begun, self._cpu = clock(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        gc.enable()
        self.close()

    @property
    def sent(self) -> int:
        """Requests so far."""
        return len(self._log.sent)

    def send(self, connection: Connection, due: float | None = None) -> None:
        """Send the next request, which was due at `due` by the clock (None: now), on an idle connection."""
        now = clock()
        if not self.in_the_air:
            self._latest = now
        number = self._log.add(now if due is None else due, now)
        connection.number = number
        connection.seed = self._seed_of(number)
        self.in_the_air += 1
        try:
            connection.send(self._request(connection.seed))
        except BrokenError as error:
            self._lose(connection, str(error))
        else:
            self._log.handed[number] = clock()

    def poll(self, timeout: float) -> Iterator[Connection]:
        """Wait for answers for at most `timeout` seconds; yields each connection when it is idle again."""
        ready = self._selector.select(min(timeout, self._patience))
        if not ready and self.in_the_air and clock() - self._latest >= self._patience:
            yield from self._give_up()
        for key, _ in ready:
            connection: Connection = key.data
            try:
                status = connection.receive()
            except BrokenError as error:
                (self._lose if connection.number >= 0 else self._unasked)(connection, str(error))
                yield self._again(connection)
            else:
                if status:
                    yield self._answered(connection, status)

    def outcome(self) -> Outcome:
        """What became of every request so far."""
        return self._log.outcome(self.begun, clock(), time.process_time() - self._cpu)

    def close(self) -> None:
        """Close every connection."""
        for key in list(self._selector.get_map().values()):
            key.data.close()
        self._selector.close()

    def _connected(self) -> Connection:
        where = self._endpoint
        try:
            connection = Connection(where.host, where.port)
        except OSError as error:
            if error.errno in (EMFILE, ENFILE):
                raise BenchError(
                    f"the load generator may open no more than {len(self._selector.get_map()):,} connections here: "
                    "raise the limit of open files (ulimit -n)"
                ) from None
            raise BenchError(f"{where.host}:{where.port} takes no connection: {error}") from None
        self._selector.register(connection, selectors.EVENT_READ, connection)
        return connection

    def _answered(self, connection: Connection, status: int) -> Connection:
        log, number = self._log, connection.number
        if number < 0:
            self._unasked(connection, "an answer that nobody asked for")
            return self._again(connection)
        log.answered[number] = self._latest = clock()
        log.status[number], log.first[number] = status, connection.first
        if status == OK:
            log.check(self._check, connection.seed, connection.buffer, connection.begin, connection.end)
        self.in_the_air -= 1
        connection.number = -1
        return connection if connection.stays else self._again(connection)

    def _lose(self, connection: Connection, reason: str) -> None:
        self._log.lost[reason] += 1
        self.in_the_air -= 1
        connection.number = -1

    def _unasked(self, connection: Connection, reason: str) -> None:
        """Bytes on an idle connection are wrong; a server may close it."""
        if connection.stays and not reason.startswith("closed"):
            self._log.wrong[reason] += 1

    def _again(self, connection: Connection) -> Connection:
        self._selector.unregister(connection)
        connection.close()
        self._log.reconnected += 1
        return self._connected()

    def _give_up(self) -> Iterator[Connection]:
        for key in list(self._selector.get_map().values()):
            if key.data.number >= 0:
                self._lose(key.data, f"no answer within {self._patience:g} s")
                yield self._again(key.data)


def _allow_files(connections: int) -> None:
    """Raise this process's soft limit on open files as far as the connections need and the hard limit allows."""
    wanted = connections + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
