"""A client of HTTP that can also misbehave: whole requests, or bytes as they are, over a plain socket."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import parse_headers
from time import monotonic, sleep
from typing import Any

import numpy as np
from ganport_runtime.latents import latents
from numpy.typing import NDArray

from tests.support.bundles import Weights

HOST = "127.0.0.1"
SECONDS = 10.0  # after which something hangs
INFER = "/v2/models/generator/infer"


@dataclass(frozen=True)
class Answer:
    """What came back; names of headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> dict[str, Any]:
        """The members of the problem document that this must be."""
        assert self.headers["content-type"] == "application/problem+json", self
        document: dict[str, Any] = self.document
        assert document["status"] == self.status
        assert document["detail"]
        assert "\n" not in document["detail"]
        assert "Traceback" not in self.body.decode()
        return document


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection((HOST, port), timeout=SECONDS) as connection:
        yield connection


def read_answer(connection: socket.socket) -> Answer:
    """The next answer on a connection; an end without a whole one raises ConnectionError."""
    with connection.makefile("rb", buffering=0) as file:  # without a buffer nothing of the answer after it is taken
        first = file.readline()
        if not first:
            raise ConnectionError("the server has closed the connection")
        headers = {name.lower(): value for name, value in parse_headers(file).items()}
        assert "transfer-encoding" not in headers
    length = int(headers.get("content-length", 0))
    body = bytearray()
    while len(body) < length:
        part = connection.recv(length - len(body))
        if not part:
            raise ConnectionError("the server has closed the connection within an answer")
        body += part
    return Answer(int(first.split()[1]), headers, bytes(body))


def request(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """A request as bytes; `_` in a header's name stands for `-`."""
    named = {"host": HOST, "content-length": str(len(body))} | {k.replace("_", "-"): v for k, v in headers.items()}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def ask(port: int, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
    """The answer to one request on a connection of its own."""
    with connected(port) as connection:
        connection.sendall(request(method, path, body, **headers))
        return read_answer(connection)


def seed_request(seed: int, count: int = 1, **parameters: Any) -> bytes:
    """The body that asks the model `generator` for images as binary data."""
    inputs = [
        {"name": "seed", "datatype": "UINT64", "shape": [1], "data": [seed]},
        {"name": "count", "datatype": "UINT32", "shape": [1], "data": [count]},
    ]
    outputs = [{"name": "image", "parameters": {"binary_data": True}}]
    return json.dumps({"inputs": inputs, "outputs": outputs, "parameters": parameters}).encode()


def generate(port: int, seed: int, count: int = 1, **headers: str) -> Answer:
    return ask(port, "POST", INFER, seed_request(seed, count), **headers)


def images_of(answer: Answer) -> NDArray[np.uint8]:
    """The images in an answer of inference."""
    assert answer.status == 200, answer
    split = int(answer.headers["inference-header-content-length"])
    (output,) = json.loads(answer.body[:split])["outputs"]
    return np.frombuffer(answer.body[split:], np.uint8).reshape(output["shape"])


def are_images(images: NDArray[np.uint8], weights: Weights, seed: int, count: int = 1, start: int = 0) -> bool:
    """Whether these are a seed's images, as numpy computes them from the weights, within rounding."""
    wanted = weights.images(latents(seed, start, count, weights.generator.shape[0]))
    return images.shape == wanted.shape and bool(np.abs(images - wanted).max() < 0.51)


def wait_until(condition: Callable[[], Any], what: str = "the condition") -> None:
    """Look until it holds."""
    end = monotonic() + SECONDS
    while not condition():
        assert monotonic() < end, f"{what} does not come true"
        sleep(0.005)


def status_of(port: int) -> dict[str, Any]:
    """The document of `/v1/status`."""
    document: dict[str, Any] = ask(port, "GET", "/v1/status").document
    return document
