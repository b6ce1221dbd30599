"""Requests whose head came before on their connection: the same answers as if each had been parsed."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ganport_runtime import Generator

from tests.support.http_client import connected, read_answer
from tests.support.serving import Serving, serving

OUTPUT = {"name": "image", "parameters": {"binary_data": True}}
HEADER = json.dumps(
    {
        "inputs": [{"name": "seed", "datatype": "UINT64", "shape": [1], "parameters": {"binary_data_size": 8}}],
        "outputs": [OUTPUT],
    }
).encode()


@pytest.fixture(scope="module")
def here(bundle: Path) -> Iterator[Serving]:
    with serving(bundle, "--no-grpc") as found:
        yield found


def asking(seed: int, path: str = "/v2/models/generator/infer", header: bytes = HEADER) -> bytes:
    body = header + np.uint64(seed).tobytes()
    head = f"POST {path} HTTP/1.1\r\nhost: here\r\ninference-header-content-length: {len(header)}\r\n"
    return head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body


def test_every_seed_gets_its_own_image(here: Serving, bundle: Path) -> None:
    with Generator.open(bundle, threads=1) as generator, connected(here.port) as connection:
        for seed in (3, 4, 4, 2**64 - 1, 5):
            connection.sendall(asking(seed))
            found = read_answer(connection)
            assert found.status == 200
            assert found.body.endswith(generator.sample(1, seed=seed).tobytes())


def test_what_is_wrong_after_it_is_refused_and_what_is_right_answered(here: Serving, bundle: Path) -> None:
    garbled = b"{" + b"x" * (len(HEADER) - 1)
    with Generator.open(bundle, threads=1) as generator, connected(here.port) as connection:
        for data, status in (
            (asking(1), 200),
            (asking(1, header=garbled), 400),  # the same head and length
            (asking(1), 200),
            (asking(1, path="/v2/models/generatos/infer"), 404),
            (asking(2), 200),
        ):
            connection.sendall(data)
            assert read_answer(connection).status == status
        connection.sendall(asking(6) + asking(7))  # two in one piece
        for seed in (6, 7):
            assert read_answer(connection).body.endswith(generator.sample(1, seed=seed).tobytes())
        for piece in (asking(8)[:40], asking(8)[40:]):  # one in two
            connection.sendall(piece)
        assert read_answer(connection).body.endswith(generator.sample(1, seed=8).tobytes())
