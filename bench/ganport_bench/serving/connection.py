"""One keep-alive HTTP/1.1 connection that has at most one request in the air, read without a copy."""

import socket
import time

__all__ = ["BrokenError", "Connection"]

SPACE = 64 * 2**10  # bytes of an answer at first
HEADS = 256  # different heads of answers that are remembered; a `date` makes a new one every second
END = b"\r\n\r\n"
SEND_TIMEOUT = 10.0  # seconds for a request that does not fit into the socket's buffer
clock = time.perf_counter

Head = tuple[int, int, bool]  # status, bytes of the body, whether the connection stays open
_heads: dict[bytes, Head] = {}


class BrokenError(Exception):
    """What came is no answer; the text says why, in few words."""


class Connection:
    """A socket and the answer that arrives on it.

    Attributes:
        number: of the request in the air.
        seed: that it asks for.
        buffer: the answer.
        begin: where its body begins.
        end: where it ends; 0 before the head is whole.
        first: the clock when its first bytes were there.
        stays: whether the server keeps the connection open after it.
    """

    __slots__ = ("_filled", "_status", "_view", "begin", "buffer", "end", "first", "number", "seed", "socket", "stays")

    def __init__(self, host: str, port: int, timeout: float = 10.0) -> None:
        self.socket = socket.create_connection((host, port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.buffer = bytearray(SPACE)
        self._view = memoryview(self.buffer)
        self._filled = self._status = self.begin = self.end = self.seed = 0
        self.number = -1  # nothing in the air
        self.first = 0.0
        self.stays = True

    def fileno(self) -> int:
        """Of the socket."""
        return self.socket.fileno()

    def send(self, request: bytes) -> None:
        """Send all of it.

        Raises:
            BrokenError: the server closed the connection, or takes nothing more.
        """
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
        """Read what is there; the status where that makes the answer whole, else 0.

        Raises:
            BrokenError: the connection was closed, or what came is no answer.
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
    def is_closed(self) -> bool:
        """Whether the socket was let go of."""
        return self.socket.fileno() < 0

    def close(self) -> None:
        """Let go of the socket."""
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
