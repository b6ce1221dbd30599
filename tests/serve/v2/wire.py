"""Requests of HTTP as bytes: what tritonclient itself would never send."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

HEADER_LENGTH = "Inference-Header-Content-Length"
INFER = "/v2/models/generator/infer"


@dataclass(frozen=True)
class Answer:
    """Status, headers with names in lower case, and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """The JSON of the answer; binary tensors may follow it."""
        length = self.headers.get(HEADER_LENGTH.lower())
        return json.loads(self.body[: len(self.body) if length is None else int(length)])


def send(
    address: str, body: bytes, headers: Mapping[str, str] | None = None, *, path: str = INFER, method: str = "POST"
) -> Answer:
    """The answer to one request on a connection of its own."""
    connection = HTTPConnection(address, timeout=60)
    try:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        named = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, named, response.read())
    finally:
        connection.close()


def seeds(data: Any, **members: Any) -> dict[str, Any]:
    """The input `seed` as JSON; members replace or add others."""
    return {"name": "seed", "datatype": "UINT64", "shape": [1], "data": data, **members}


def packed(document: Any, *arrays: bytes) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a request whose JSON is followed by tensors as bytes."""
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    return b"".join((text, *arrays)), {HEADER_LENGTH: str(len(text))}
