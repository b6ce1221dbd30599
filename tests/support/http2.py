"""As little HTTP/2 as it takes to begin calls of gRPC and not to end them (RFC 9113)."""

import contextlib
import socket
import struct
import time

METHOD = "/inference.GRPCInferenceService/ModelInfer"
DATA, HEADERS, SETTINGS, WINDOW_UPDATE = 0, 1, 4, 8
END_HEADERS, ACK = 4, 1
FIRST_WINDOW = 65_535
LARGEST = 16_384  # bytes of a frame


class Http2Connection:
    """One connection; its calls are numbered 1, 3, 5 and so on."""

    def __init__(self, address: str, *, window: int = FIRST_WINDOW) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=10)
        self._next, self._rest = 1, b""
        self.windows: dict[int, int] = {0: FIRST_WINDOW}
        self.first_window = FIRST_WINDOW
        settings = struct.pack(">HI", 4, window)  # what we take of each answer before we say more
        self.socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, settings))

    def call(self, path: str = METHOD, **metadata: str) -> int:
        """Send a call's headers, and return its number."""
        number, self._next = self._next, self._next + 2
        fields = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "localhost", "te": "trailers"}
        fields |= {"content-type": "application/grpc", **metadata}
        block = b"".join(b"\0" + _text(name) + _text(value) for name, value in fields.items())
        self.socket.sendall(frame(HEADERS, END_HEADERS, number, block))
        return number

    def send(self, number: int, data: bytes, seconds: float) -> int:
        """Send a part of a call's message, as far as the server lets it in this time; returns how many bytes."""
        sent, end = 0, time.monotonic() + seconds
        self.windows.setdefault(number, self.first_window)
        while sent < len(data) and time.monotonic() < end:
            room = min(self.windows[0], self.windows[number], LARGEST, len(data) - sent)
            if room <= 0:
                self.read(0.05)
                continue
            self.socket.sendall(frame(DATA, 0, number, data[sent : sent + room]))
            self.windows[0] -= room
            self.windows[number] -= room
            sent += room
        return sent

    def read(self, seconds: float) -> None:
        """Take note of what the server sends."""
        self.socket.settimeout(seconds)
        with contextlib.suppress(TimeoutError):
            self._rest += self.socket.recv(65536)
        self.socket.settimeout(10)
        while len(self._rest) >= 9:
            size = int.from_bytes(self._rest[:3], "big")
            if len(self._rest) < 9 + size:
                return
            kind, flags, number = self._rest[3], self._rest[4], int.from_bytes(self._rest[5:9], "big")
            payload, self._rest = self._rest[9 : 9 + size], self._rest[9 + size :]
            if kind == WINDOW_UPDATE:
                more = int.from_bytes(payload, "big")
                self.windows[number] = self.windows.get(number, self.first_window) + more
            elif kind == SETTINGS and not flags & ACK:
                for at in range(0, size, 6):
                    name, value = struct.unpack(">HI", payload[at : at + 6])
                    if name == 4:
                        self.first_window = value
                self.socket.sendall(frame(SETTINGS, ACK, 0, b""))


def frame(kind: int, flags: int, number: int, payload: bytes) -> bytes:
    """A frame."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + number.to_bytes(4, "big") + payload


def message_head(size: int) -> bytes:
    """What stands before a message of so many bytes."""
    return b"\0" + size.to_bytes(4, "big")


def _text(word: str) -> bytes:
    return len(word).to_bytes(1, "big") + word.encode()
