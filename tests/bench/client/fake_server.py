"""A server of known latency and known faults, in a thread of its own: the harness must report just those."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from ganport_bench.client.outcome import GoldenImages
from ganport_bench.client.requests import Endpoint, SeedEncoder

IMAGES = [bytes([seed]) * 48 for seed in range(4)]
EXPECTED = GoldenImages(IMAGES)


def image_of(seed: int) -> bytes:
    return IMAGES[seed] if seed < len(IMAGES) else bytes(48)


def answer(body: bytes, status: int = 200, extra: str = "") -> bytes:
    return f"HTTP/1.1 {status} Any\r\n{extra}content-length: {len(body)}\r\n\r\n".encode() + body


@dataclass
class Fake:
    """What the server does with request `number`, which asks for `seed`.

    Attributes:
        delay: seconds before the answer.
        says: the bytes of the answer, in the pieces in which they are written; none closes the connection, and `None`
            in place of a piece leaves it open without a word.
        stall: (every, seconds): nobody is served for so long, once so often, the first time at once after `every`.
        documents: what is answered to a GET, by path; 404 to all others.
    """

    delay: Callable[[int], float] = lambda _: 0.0
    says: Callable[[int, int], Sequence[bytes | None]] = lambda _, seed: [answer(b"{}" + image_of(seed))]
    stall: tuple[float, float] | None = None
    documents: Mapping[str, Callable[[], object]] = field(default_factory=dict)
    endpoint: Endpoint = field(init=False)
    seeds: list[int] = field(default_factory=list)
    stop: tuple[Callable[..., object], Callable[[], None]] = field(init=False)
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)
    _stalled: float = 0.0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while not reader.at_eof():
                await self._one(reader, writer)
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        if head.startswith("get "):
            writer.write(self._document(head.split()[1]))
            return
        size = int(head.split("\r\ncontent-length: ")[1].split("\r\n")[0])
        body = await reader.readexactly(size)
        seed = int.from_bytes(body[-8:], "little")
        number = len(self.seeds)
        self.seeds.append(seed)
        self._maybe_stall()
        await asyncio.sleep(self.delay(number))
        pieces = self.says(number, seed)
        for piece in pieces:
            if piece is None:
                await reader.read()  # until the client goes away
            else:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.001 if len(pieces) > 1 else 0)
        if not pieces:
            raise ConnectionError

    def _document(self, path: str) -> bytes:
        make = self.documents.get(path)
        return answer(b"", 404) if make is None else answer(json.dumps(make()).encode())

    def _maybe_stall(self) -> None:
        if self.stall is None:
            return
        every, seconds = self.stall
        now = time.perf_counter()
        self._stalled = self._stalled or now
        if now - self._stalled >= every:
            time.sleep(seconds)
            self._stalled = time.perf_counter()

    async def run(self, started: threading.Event, stop: asyncio.Event) -> None:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.endpoint = Endpoint("127.0.0.1", server.sockets[0].getsockname()[1], SeedEncoder())
        self.stop = asyncio.get_running_loop().call_soon_threadsafe, stop.set
        started.set()
        await stop.wait()
        # a server that is closed while it accepts leaks what it accepted: first no more of them, then their ends
        asyncio.get_running_loop().remove_reader(server.sockets[0].fileno())
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            for writer in self._writers:
                writer.transport.abort()
            await asyncio.wait(others, timeout=0.01)
        server.close()


@contextmanager
def running(fake: Fake) -> Iterator[Fake]:
    """The server, listening, for the length of a block."""
    started = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(fake.run(started, asyncio.Event())))
    thread.start()
    started.wait()
    try:
        yield fake
    finally:
        call, stop = fake.stop
        call(stop)
        thread.join()


def parse(request: bytes) -> tuple[str, dict[str, str], dict[str, object], bytes]:
    """First line, headers, JSON part, binary part of a request, read as the protocol's text has it."""
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    size = int(headers.get("inference-header-content-length", len(body)))
    assert len(body) == int(headers["content-length"])
    return first, headers, json.loads(body[:size]), body[size:]
