"""Ask a running server for images: a PNG by a plain GET, and arrays by the Open Inference Protocol.

    ganport serve demo/digits.ganport &
    python examples/client.py http://127.0.0.1:8000

Needs numpy alone. GANPORT_TOKEN is sent where it is set. The libraries of Triton (tritonclient) work too.
"""

import json
import os
import sys
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path

import numpy as np


def ask(url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[bytes, Message]:
    """The body and headers of an answer; what the server refuses is said in its own words."""
    token = os.environ.get("GANPORT_TOKEN")
    authorization = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, body, {**authorization, **(headers or {})})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read(), answer.headers
    except urllib.error.HTTPError as error:  # 429: the queue is full; Retry-After says when to ask again
        sys.exit(f"{error.code}: {json.loads(error.read())['detail']}")


def images(server: str, seed: int, count: int) -> np.ndarray:
    """Images as one array, uint8 [count, height, width, channels], without JSON or PNG in between."""
    header = {
        "inputs": [
            {"name": "seed", "datatype": "UINT64", "shape": [1], "parameters": {"binary_data_size": 8}},
            {"name": "count", "datatype": "UINT32", "shape": [1], "parameters": {"binary_data_size": 4}},
        ],
        "outputs": [{"name": "image", "parameters": {"binary_data": True}}],
    }
    text = json.dumps(header).encode()  # the JSON comes first, then the bytes of each tensor
    length = {"Inference-Header-Content-Length": str(len(text)), "Content-Type": "application/octet-stream"}
    tensors = np.uint64(seed).tobytes() + np.uint32(count).tobytes()
    body, headers = ask(f"{server}/v2/models/generator/infer", text + tensors, length)
    split = int(headers["Inference-Header-Content-Length"])
    shape = json.loads(body[:split])["outputs"][0]["shape"]
    return np.frombuffer(body[split:], np.uint8).reshape(shape)


def main(server: str) -> None:
    """Write a PNG, and show the shape of an array."""
    picture, _ = ask(f"{server}/v1/images?seed=7&count=16")
    Path("sixteen.png").write_bytes(picture)
    print("sixteen.png:", len(picture), "bytes")
    print("array:", images(server, seed=7, count=4).shape)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")
