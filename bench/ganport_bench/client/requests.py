"""The bytes of HTTP requests for images, for each kind of server that can be loaded."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol
from urllib.parse import quote

import numpy as np

SEED_BYTES = 8  # of a UINT64
HOST = "localhost"  # the Host header for servers that are started here: a name that they accept
DIFFERENT = 8  # requests that are sent in turn to a model whose inputs mean nothing here
REAL = {"FP16": "<f2", "FP32": "<f4", "FP64": "<f8"}
# Bytes of one value of each datatype of the Open Inference Protocol. An empty BYTES has four: its length.
ITEM_BYTES = {
    **dict.fromkeys(("BOOL", "UINT8", "INT8"), 1),
    **dict.fromkeys(("UINT16", "INT16", "FP16", "BF16"), 2),
    **dict.fromkeys(("UINT32", "INT32", "FP32", "BYTES"), 4),
    **dict.fromkeys(("UINT64", "INT64", "FP64"), 8),
}


class RequestEncoder(Protocol):
    """Makes requests; the body of the answer must end with the image's bytes."""

    def request(self, seed: int) -> bytes:
        """A whole HTTP/1.1 request for the first image of a seed, 0 to 2^63 - 1."""


@dataclass(frozen=True)
class Endpoint:
    """Where a server listens for HTTP, and how it is asked for an image."""

    host: str
    port: int
    encoder: RequestEncoder


@dataclass(frozen=True)
class SeedEncoder:
    """The Open Inference Protocol with the binary tensor extension in both directions: one seed, one image."""

    model: str = "generator"  # name of the model
    shape: tuple[int, ...] = (1,)  # of the seed, which is one number
    host: str = HOST  # the Host header, by which some gateways choose the server

    def request(self, seed: int) -> bytes:
        """The head is the same each time; the seed is the last eight bytes of the body."""
        return self._head + seed.to_bytes(SEED_BYTES, "little")

    @cached_property
    def _head(self) -> bytes:
        size = {"binary_data_size": SEED_BYTES}
        seed = {"name": "seed", "datatype": "UINT64", "shape": self.shape, "parameters": size}
        image = {"name": "image", "parameters": {"binary_data": True}}
        return _binary_head(self.host, self.model, {"inputs": [seed], "outputs": [image]}, SEED_BYTES)


@dataclass(frozen=True)
class LitServeEncoder:
    """A seed as JSON; the answer is the image's bytes and nothing else."""

    path: str = "/predict"
    host: str = HOST

    def request(self, seed: int) -> bytes:  # noqa: D102
        text = b'{"seed":%d}' % seed
        return self._head % len(text) + text

    @cached_property
    def _head(self) -> bytes:
        return _post(self.host, self.path, {"Content-Type": "application/json", "Content-Length": "%d"})


@dataclass(frozen=True)
class ModelInput:
    """An input of a model, with the shape that it has in one request; `datatype` is one of `ITEM_BYTES`."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many values it has."""
        return math.prod(self.shape)

    def raw(self, random: np.random.Generator) -> bytes:
        """Its values for the binary tensor extension: normal deviates for real types, else zeros."""
        if self.datatype == "BF16":  # the upper half of a float32
            return random.standard_normal(self.size, np.float32).astype("<f4").view("<u2")[1::2].tobytes()
        if self.datatype in REAL:
            return random.standard_normal(self.size).astype(REAL[self.datatype]).tobytes()
        return bytes(self.size * ITEM_BYTES[self.datatype])

    def listed(self, random: np.random.Generator) -> list[Any]:
        """Its values for JSON, which has no form for FP16 and BF16."""
        if self.datatype in REAL:
            return [float(value) for value in random.standard_normal(self.size)]
        return self.size * [{"BOOL": False, "BYTES": ""}.get(self.datatype, 0)]

    def to_json(self) -> dict[str, Any]:
        """Its declaration in a request."""
        return {"name": self.name, "datatype": self.datatype, "shape": self.shape}


@dataclass(frozen=True)
class TensorEncoder:
    """The Open Inference Protocol for a model of which only the metadata is known.

    A few different requests are sent in turn, so a server that caches answers answers from its cache.
    """

    model: str  # name of the model
    inputs: tuple[ModelInput, ...]  # all inputs of a request
    is_binary: bool  # whether tensors use the binary tensor extension in both directions; else JSON
    host: str = HOST  # the Host header

    def request(self, seed: int) -> bytes:  # noqa: D102
        return self._requests[seed % DIFFERENT]

    @cached_property
    def _requests(self) -> list[bytes]:
        make = self._binary if self.is_binary else self._json
        return [make(np.random.default_rng(number)) for number in range(DIFFERENT)]

    def _binary(self, random: np.random.Generator) -> bytes:
        raw = [one.raw(random) for one in self.inputs]
        inputs = [
            {**one.to_json(), "parameters": {"binary_data_size": len(values)}}
            for one, values in zip(self.inputs, raw, strict=True)
        ]
        document = {"inputs": inputs, "parameters": {"binary_data_output": True}}
        return _binary_head(self.host, self.model, document, sum(map(len, raw))) + b"".join(raw)

    def _json(self, random: np.random.Generator) -> bytes:
        text = json.dumps({"inputs": [{**one.to_json(), "data": one.listed(random)} for one in self.inputs]}).encode()
        headers = {"Content-Type": "application/json", "Content-Length": len(text)}
        return _post(self.host, _infer_path(self.model), headers) + text


def _infer_path(model: str) -> str:
    return f"/v2/models/{quote(model, safe='')}/infer"


def _binary_head(host: str, model: str, document: Mapping[str, Any], binary_bytes: int) -> bytes:
    """A request of the Open Inference Protocol without its binary tensors, which have so many bytes."""
    text = json.dumps(document, separators=(",", ":")).encode()
    headers = {
        "Content-Type": "application/octet-stream",
        "Inference-Header-Content-Length": len(text),
        "Content-Length": len(text) + binary_bytes,
    }
    return _post(host, _infer_path(model), headers) + text


def _post(host: str, path: str, headers: Mapping[str, object]) -> bytes:
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()
