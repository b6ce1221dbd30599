"""How one image is asked for over HTTP: the bytes of a request, for each kind of server that can be the target."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol
from urllib.parse import quote

__all__ = [
    "HOST",
    "Endpoint",
    "Exchange",
    "LitServeExchange",
    "OpenInferenceExchange",
    "binary_head",
    "infer_path",
    "post",
]

NUMBER = 8  # bytes of a UINT64
HOST = "benchmark"  # of servers that are started here


class Exchange(Protocol):
    """Makes requests; the answer's body must end with the image's bytes."""

    def request(self, seed: int) -> bytes:
        """A whole HTTP/1.1 request for the first image of a seed, 0 to 2^63 - 1."""


@dataclass(frozen=True)
class Endpoint:
    """Where a server listens and how it is asked.

    Attributes:
        host: name or address.
        port: of HTTP.
        exchange: how it is asked.
    """

    host: str
    port: int
    exchange: Exchange


@dataclass(frozen=True)
class OpenInferenceExchange:
    """The Open Inference Protocol with the binary tensor extension, both ways.

    Attributes:
        model: asked for.
        shape: of the seed: one number.
        host: that is asked for, by which some gateways choose the server.
    """

    model: str = "generator"
    shape: tuple[int, ...] = (1,)
    host: str = HOST

    def request(self, seed: int) -> bytes:
        """The head is the same each time; the seed is the body's last eight bytes."""
        return self._head + seed.to_bytes(NUMBER, "little")

    @cached_property
    def _head(self) -> bytes:
        size = {"binary_data_size": NUMBER}
        seed = {"name": "seed", "datatype": "UINT64", "shape": self.shape, "parameters": size}
        image = {"name": "image", "parameters": {"binary_data": True}}
        return binary_head(self.host, self.model, {"inputs": [seed], "outputs": [image]}, NUMBER)


@dataclass(frozen=True)
class LitServeExchange:
    """A seed as JSON; the answer is the image's bytes and nothing else."""

    path: str = "/predict"
    host: str = HOST

    def request(self, seed: int) -> bytes:
        """Head and a document of one number."""
        text = b'{"seed":%d}' % seed
        return self._head % len(text) + text

    @cached_property
    def _head(self) -> bytes:
        return post(self.host, self.path, {"Content-Type": "application/json", "Content-Length": "%d"})


def infer_path(model: str) -> str:
    """Where a model of the Open Inference Protocol is asked."""
    return f"/v2/models/{quote(model, safe='')}/infer"


def binary_head(host: str, model: str, document: Mapping[str, Any], binary_bytes: int) -> bytes:
    """All of a request of the Open Inference Protocol but its tensors' bytes, of which so many follow."""
    text = json.dumps(document, separators=(",", ":")).encode()
    headers = {
        "Content-Type": "application/octet-stream",
        "Inference-Header-Content-Length": len(text),
        "Content-Length": len(text) + binary_bytes,
    }
    return post(host, infer_path(model), headers) + text


def post(host: str, path: str, headers: Mapping[str, object]) -> bytes:
    """Request line and headers."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()
