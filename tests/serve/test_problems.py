"""Every refusal is a problem document that says what to do; no route answers in any other way."""

import socket
from collections.abc import Iterator
from pathlib import Path
from select import select
from typing import Any

import pytest
from ganport_serve.v2 import http as v2

from tests.support.bundles import Weights
from tests.support.http_client import (
    INFER,
    Answer,
    are_images,
    ask,
    connected,
    generate,
    images_of,
    read_answer,
    request,
    seed_request,
)
from tests.support.serving import Here, serving_here

MAX_BODY = 4096
MAX_HEADER = 8192


@pytest.fixture(scope="module")
def server(bundle: Path) -> Iterator[Here]:
    with serving_here(bundle, max_body=MAX_BODY, max_header=MAX_HEADER, max_count=8) as here:
        yield here


@pytest.mark.parametrize(
    "path", ["/nope", "/v2/nope", "/v2/models/generator/nope", "/v1/", "//", "/%00", "/v1/status/"]
)
def test_what_is_not_there(server: Here, path: str) -> None:
    answer = ask(server.port, "GET", path)
    assert (answer.status, answer.problem["title"]) == (404, "Not Found")
    assert "/openapi.json" in answer.problem["detail"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", INFER, "POST"), ("POST", "/v1/status", "GET"), ("GET", "/admin/bundle", "POST"), ("PUT", "/v2", "GET")],
)
def test_another_method_than_the_path_takes(server: Here, method: str, path: str, allowed: str) -> None:
    answer = ask(server.port, method, path)
    assert answer.status == answer.problem["status"] == 405
    assert allowed in answer.headers["allow"].split(", ")


def test_a_body_over_the_bound_is_refused_by_its_length_alone(server: Here) -> None:
    with connected(server.port) as connection:
        connection.sendall(request("POST", INFER, content_length=str(MAX_BODY + 1)))
        answer = read_answer(connection)  # although none of the body has come
    assert answer.status == 413
    assert str(MAX_BODY) in answer.problem["detail"]


def chunked(connection: Any, chunks: list[bytes]) -> Answer:
    head = f"POST {INFER} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    connection.sendall(head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks))
    return read_answer(connection)


def test_a_body_over_the_bound_is_refused_while_its_chunks_come(server: Here, weights: Weights) -> None:
    with connected(server.port) as connection:
        assert chunked(connection, [b" " * 1000] * 5).status == 413  # without the last chunk
    with connected(server.port) as connection:
        answer = chunked(connection, [seed_request(3)[:40], seed_request(3)[40:], b""])
        assert are_images(images_of(answer), weights, 3)


def status_line(connection: socket.socket) -> bytes:
    """Of an answer that the server gives before there is a request: it has no document."""
    said = b"".join(iter(lambda: connection.recv(4096), b""))
    return said.partition(b"\r\n")[0]


def test_a_head_over_the_bound_is_refused_even_where_it_does_not_end(server: Here) -> None:
    with connected(server.port) as connection:
        connection.sendall(b"GET /v1/status HTTP/1.1\r\nx: ")
        while not select([connection], [], [], 0.01)[0]:
            connection.sendall(b"y" * 500)
        assert status_line(connection).startswith(b"HTTP/1.1 431")
    assert ask(server.port, "GET", "/v1/status", note="x" * 2048).status == 200


@pytest.mark.parametrize("data", [b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"])
def test_what_is_no_request_of_this_protocol(server: Here, data: bytes) -> None:
    with connected(server.port) as connection:
        connection.sendall(data)
        assert status_line(connection)[9:12] in (b"400", b"")


def test_a_request_keeps_its_name(server: Here) -> None:
    assert generate(server.port, 1, x_request_id="mine-7").headers["x-request-id"] == "mine-7"
    assert ask(server.port, "GET", "/nope", x_request_id="mine-8").headers["x-request-id"] == "mine-8"
    unnamed = {generate(server.port, 1).headers["x-request-id"] for _ in range(3)}
    assert len(unnamed) == 3
    bad = ask(server.port, "GET", "/v1/status", x_request_id="two words")
    assert "two words" not in bad.headers["x-request-id"]


def test_a_refused_request_leaves_the_connection_usable(server: Here, weights: Weights) -> None:
    with connected(server.port) as connection:
        for _ in range(2):
            connection.sendall(request("GET", "/nope"))
            assert read_answer(connection).status == 404
            connection.sendall(request("POST", INFER, b"{"))
            assert read_answer(connection).status == 400
            connection.sendall(request("POST", INFER, seed_request(5)))
            assert are_images(images_of(read_answer(connection)), weights, 5)


def test_an_answer_that_cannot_be_written_is_an_answer_too(
    server: Here, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> Any:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(v2, "response_of", full)
        answer = generate(server.port, 7)
    assert answer.status == answer.problem["status"] == 500
    assert are_images(images_of(generate(server.port, 7)), weights, 7)
