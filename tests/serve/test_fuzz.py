"""Bad input by the thousand: no failure of the server's own, no hang, nothing kept, and good clients unharmed."""

import json
import os
import random
import re
import socket
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.bundles import Weights
from tests.support.http_client import (
    INFER,
    are_images,
    connected,
    generate,
    images_of,
    request,
    seed_request,
    wait_until,
)
from tests.support.serving import Serving, serving

pytestmark = pytest.mark.slow

ROUNDS = 700
DOCUMENTED = {501, 503, 504}  # of those over 499
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
PATHS = (
    INFER,
    INFER.replace("generator", "discriminator"),
    "/v2/models/absent/infer",
    "/v2/models/generator/versions/9/infer",
    "/v2/models/%ff%00/infer",
    "/v2/repository/index",
    "/v2/systemsharedmemory/region/x/register",
    "/v1/scores",
    "/v1/features",
    "/admin/bundle",
)
QUERIES = (
    "seed=7",
    "seed=-1",
    "count=0",
    "count=1000000000",
    "format=tiff",
    "seed=7&seed=8",
    "%ff=%00",
    "&&=&",
    "a" * 99,
)
ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 1e308, 10**9, 2**64, "", "x", "\ud800", [], {}, [[]], [None], {"a": 1}, float("nan"), 10**400),
    *("UINT8", "FP32", "FP64", "BYTES", [1], [0], [-1], [2**63], [1, 12], [10**9, 12], [1.5], [float("inf")] * 12),
)


@pytest.fixture(scope="module")
def server(bundle: Path) -> Iterator[Serving]:
    with serving(bundle, "--no-grpc", "--max-body-mb", 0.2, "--max-count", 64) as found:
        yield found


def z_request(draw: random.Random) -> bytes:
    """A request with binary latents whose parts may not fit together."""
    numbers = draw.choice([b"\0\0\x80?" * 12, b"\0\0\xc0\x7f" * 12, b"\0" * 47, b"", b"\xff" * 4800])
    size = draw.choice([len(numbers), len(numbers) + 1, -1, 2**62, "48", None])
    tensor = {"name": "z", "datatype": "FP32", "shape": [1, 12], "parameters": {"binary_data_size": size}}
    return json.dumps({"inputs": [tensor]}).encode() + numbers


def spoilt(document: Any, draw: random.Random) -> Any:
    """The document with one of its parts replaced, renamed or gone."""
    if isinstance(document, dict) and document and draw.random() < 0.9:
        key = draw.choice(list(document))
        rest = {name: value for name, value in document.items() if name != key}
        return rest if draw.random() < 0.15 else rest | {key: spoilt(document[key], draw)}
    if isinstance(document, list) and document and draw.random() < 0.8:
        at = draw.randrange(len(document))
        return [*document[:at], spoilt(document[at], draw), *document[at + draw.choice([0, 1]) :]]
    return draw.choice(ODD)


def wrong_json(draw: random.Random) -> bytes:
    document = json.loads(seed_request(3, 2, timeout=1000))
    for _ in range(draw.randint(1, 3)):
        document = spoilt(document, draw)
    return json.dumps(document).encode()


def broken_json(draw: random.Random) -> bytes:
    body = bytearray(seed_request(3, 2))
    for _ in range(draw.randint(1, 4)):
        body[draw.randrange(len(body))] = draw.randrange(256)
    return draw.choice([bytes(body), bytes(body[: draw.randrange(len(body))]), b"[" * 50_000, b'{"inputs":' * 900])


def noise(draw: random.Random) -> bytes:
    return draw.randbytes(draw.randrange(2000))


BODIES: tuple[Callable[[random.Random], bytes], ...] = (wrong_json, broken_json, z_request, noise)


def attempt(draw: random.Random) -> bytes:
    """The bytes of one connection."""
    path = draw.choice(PATHS) if draw.random() < 0.3 else INFER
    method = "POST" if draw.random() < 0.9 else draw.choice(["GET", "PUT", "DELETE", "HEAD", "OPTIONS", "BREW"])
    if draw.random() < 0.1:
        method, path = "GET", f"/v1/images?{draw.choice(QUERIES)}"
    body = draw.choice(BODIES)(draw)
    headers: dict[str, str] = {}
    if draw.random() < 0.4:
        length = draw.choice([len(body), body.find(b"}]}") + 3, 0, 10, 10**9, -1, "x", 2**64])
        headers["inference_header_content_length"] = str(length)
    if draw.random() < 0.2:
        lie = draw.choice([len(body) - 1, len(body) + 1, 0, 10**12, -5, "1_0", "0x10"])
        headers["content_length"] = str(lie)
    if draw.random() < 0.1:
        name = draw.choice(["content_encoding", "accept_encoding", "transfer_encoding", "expect", "upgrade"])
        headers[name] = draw.choice(["gzip", "deflate", "chunked", "100-continue", "websocket", "*;q=0", "\xff"])
    data = request(method, path, body, **headers)
    return data[: draw.randrange(len(data))] if draw.random() < 0.1 else data


def answers(port: int, data: bytes, how_to_end: str) -> list[int]:
    """Statuses that came before the end, which the client brings about."""
    received = b""
    with connected(port) as connection:
        try:
            connection.sendall(data)
            if how_to_end == "shut":
                connection.shutdown(socket.SHUT_WR)
            elif how_to_end == "ask":  # what it takes for another request, or for the rest of the first one
                connection.sendall(request("GET", "/v2/health/live", connection="close"))
                connection.shutdown(socket.SHUT_WR)
            if how_to_end != "leave":
                received = b"".join(iter(lambda: connection.recv(65536), b""))
        except TimeoutError:
            raise
        except OSError:
            pass  # it has been refused in the middle
    return [int(status) for status in STATUS.findall(received)]


def test_bad_input_ends_in_no_failure(server: Serving, weights: Weights) -> None:
    draw = random.Random(20261123)
    seen: set[int] = set()
    sizes: list[int] = []
    files = open_files(server)
    for part in range(7):
        for _ in range(ROUNDS // 7):
            data = attempt(draw)
            statuses = answers(server.port, data, draw.choice(["shut", "ask", "ask", "leave"]))
            assert all(status < 500 or status in DOCUMENTED for status in statuses), data
            seen.update(statuses)
        assert are_images(images_of(generate(server.port, part, 3)), weights, part, 3)
        wait_until(lambda: open_files(server) <= files, "as few open files as before")
        sizes.append(resident_bytes(server))
    assert {200, 400, 404, 405} <= seen
    assert not [event for event in server.events() if event["level"] == "error"]
    later = sizes[2:]
    assert max(later) - later[0] < 8 * 2**20, [after - before for before, after in pairwise(sizes)]


def open_files(server: Serving) -> int:
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))  # noqa: PTH208 - a count of what is not on a disk


def resident_bytes(server: Serving) -> int:
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
