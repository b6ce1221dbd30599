"""Requests whose head came before on their connection: the same answers as if each had been parsed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ganport_runtime import Generator
from ganport_serve import express

from tests.support.bundles import make_bundle, make_weights
from tests.support.http_client import ask, connected, read_answer
from tests.support.serving import Serving, serving, serving_here

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


def test_it_is_read_once_for_each_bundle(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, reads = express._read, list[bytes]()

    def counted(admitted: Any, body: bytes, served: Any) -> Any:
        reads.append(body)
        return read(admitted, body, served)

    monkeypatch.setattr(express, "_read", counted)
    other = make_bundle(tmp_path / "other.ganport", make_weights(seed=1))
    change = json.dumps({"path": str(other)}).encode()
    with serving_here(bundle, token="open-sesame") as here, connected(here.port) as connection:
        for path, wanted in ((bundle, 1), (other, 2)):
            if path == other:
                assert ask(here.port, "POST", "/admin/bundle", change, authorization="Bearer open-sesame").status == 200
            with Generator.open(path, threads=1) as generator:
                for seed in range(3):
                    head, body = asking(seed).split(b"\r\n\r\n", 1)
                    connection.sendall(head + b"\r\nauthorization: Bearer open-sesame\r\n\r\n" + body)
                    assert read_answer(connection).body.endswith(generator.sample(1, seed=seed).tobytes())
            assert len(reads) == wanted
