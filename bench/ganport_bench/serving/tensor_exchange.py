"""How a model is asked of which nothing but its metadata is known: inputs of the right shapes, without any meaning."""

import json
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from ganport_serve.v2.models import DTYPES

from ganport_bench.serving.exchange import HOST, binary_head, infer_path, post

__all__ = ["DATATYPES", "Tensor", "TensorExchange"]

DIFFERENT = 8  # requests of a model whose inputs mean nothing here, sent in turn
# bytes of one value of each of the protocol's datatypes; of BYTES, of an empty one: the length before it
DATATYPES = {**{name: dtype.itemsize for name, dtype in DTYPES.items()}, "BF16": 2, "BYTES": 4}


@dataclass(frozen=True)
class Tensor:
    """An input of a model.

    Attributes:
        name: of the input.
        datatype: one of `DATATYPES`.
        shape: of one request.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many values it has."""
        return math.prod(self.shape)

    @property
    def is_real(self) -> bool:
        """Whether its values are numbers with a fraction."""
        return self.datatype in ("FP16", "BF16", "FP32", "FP64")

    def raw(self, random: np.random.Generator) -> bytes:
        """Its values as the binary tensor extension has them: normal deviates where they are real, else zeros."""
        if self.datatype == "BF16":  # the upper half of a float32
            return random.standard_normal(self.size, np.float32).astype("<f4").view("<u2")[1::2].tobytes()
        if self.is_real:
            return random.standard_normal(self.size).astype(DTYPES[self.datatype]).tobytes()
        return bytes(self.size * DATATYPES[self.datatype])

    def listed(self, random: np.random.Generator) -> list[Any]:
        """The same for JSON; FP16 and BF16 have no form there."""
        if self.is_real:
            return [float(value) for value in random.standard_normal(self.size)]
        return self.size * [{"BOOL": False, "BYTES": ""}.get(self.datatype, 0)]


@dataclass(frozen=True)
class TensorExchange:
    """The Open Inference Protocol for a model of which nothing but its metadata is known.

    A few different requests are sent in turn, so a server that keeps answers is measured by how it looks them up.

    Attributes:
        model: asked for.
        inputs: all that a request has.
        is_binary: whether tensors travel by the binary tensor extension, both ways; else as JSON.
        host: that is asked for, by which some gateways choose the server.
    """

    model: str
    inputs: tuple[Tensor, ...]
    is_binary: bool
    host: str = HOST

    def request(self, seed: int) -> bytes:
        """One of the requests that are sent in turn."""
        return self._requests[seed % DIFFERENT]

    @cached_property
    def _requests(self) -> list[bytes]:
        make = self._binary if self.is_binary else self._json
        return [make(np.random.default_rng(number)) for number in range(DIFFERENT)]

    def _binary(self, random: np.random.Generator) -> bytes:
        raw = [tensor.raw(random) for tensor in self.inputs]
        inputs = [
            {**_declared(tensor), "parameters": {"binary_data_size": len(values)}}
            for tensor, values in zip(self.inputs, raw, strict=True)
        ]
        document = {"inputs": inputs, "parameters": {"binary_data_output": True}}
        return binary_head(self.host, self.model, document, sum(map(len, raw))) + b"".join(raw)

    def _json(self, random: np.random.Generator) -> bytes:
        inputs = [{**_declared(tensor), "data": tensor.listed(random)} for tensor in self.inputs]
        text = json.dumps({"inputs": inputs}).encode()
        headers = {"Content-Type": "application/json", "Content-Length": len(text)}
        return post(self.host, infer_path(self.model), headers) + text


def _declared(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape}
