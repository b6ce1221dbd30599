"""What a client may not do: wait too long, lie about lengths, take all connections; others are served meanwhile."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from select import select
from time import sleep
from typing import Any

import pytest

from tests.serve.conftest import Gate
from tests.support.bundles import Weights
from tests.support.http_client import (
    INFER,
    are_images,
    ask,
    connected,
    generate,
    images_of,
    read_answer,
    request,
    seed_request,
    status_of,
    wait_until,
)
from tests.support.serving import Here, serving_here

PATIENCE: dict[str, Any] = {"body_timeout": 0.5, "idle_timeout": 1.0}
LONG_BODY = 100_000


@pytest.fixture(scope="module")
def server(bundle: Path) -> Iterator[Here]:
    with serving_here(bundle, max_connections=1200, **PATIENCE) as here:
        yield here


def ends(connection: socket.socket) -> bool:
    """Whether the server closes the connection, and says no more."""
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def test_a_slow_head_is_given_up(server: Here) -> None:
    with connected(server.port) as connection:
        connection.sendall(b"GET /v1/status HTTP/1.1\r\nhost: localhost\r\n")
        assert ends(connection)


@pytest.mark.parametrize("length", [len(seed_request(1)), LONG_BODY])
def test_a_slow_body_is_given_up(server: Here, length: int) -> None:
    with connected(server.port) as connection:
        connection.sendall(request("POST", INFER, seed_request(1)[:-1], content_length=str(length)))
        answer = read_answer(connection)
        assert answer.status == answer.problem["status"] == 408
        assert "body" in answer.problem["detail"]


def test_a_connection_without_a_request_is_closed(server: Here) -> None:
    with connected(server.port) as silent, connected(server.port) as served:
        served.sendall(request("GET", "/v2/health/live"))
        assert read_answer(served).status == 200
        assert ends(silent)
        assert ends(served)


@pytest.mark.parametrize("size", [1, 3000])
@pytest.mark.parametrize("rest", [b"", b"\0 no request\r\n\r\n"])
def test_a_length_that_lies_harms_that_connection_alone(server: Here, weights: Weights, rest: bytes, size: int) -> None:
    body = seed_request(2) + b" " * size
    lie = request("POST", INFER, body, content_length=str(len(seed_request(2)) - 1))
    with connected(server.port) as connection, connected(server.port) as other:
        connection.sendall(request("POST", INFER, body) + rest if rest else lie)
        said = b"".join(iter(lambda: connection.recv(65536), b""))  # to the end
        assert said == b"" or said.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 200 "))
        other.sendall(request("POST", INFER, body))
        assert are_images(images_of(read_answer(other)), weights, 2)


@pytest.mark.parametrize("length", ["-1", "1e3", "ten", "99999999999999999999999", "3, 4", ""])
def test_a_length_that_is_no_number(server: Here, length: str) -> None:
    assert ask(server.port, "POST", INFER, b"{}", content_length=length).status in (400, 413)


def test_two_framings_at_once_are_refused(server: Here) -> None:
    smuggled = request("GET", "/v1/status")
    for extra in ({"transfer_encoding": "chunked"}, {"transfer_encoding": "chunked, identity"}):
        with connected(server.port) as connection:
            connection.sendall(request("POST", INFER, b"0\r\n\r\n" + smuggled, content_length="5", **extra))
            assert read_answer(connection).status == 400
            assert ends(connection)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /v1/st",
        request("POST", INFER, b"{", content_length="50"),
        request("POST", INFER, b"{", content_length=str(LONG_BODY)),
        request("POST", INFER, seed_request(4)),
    ],
)
def test_a_client_that_shuts_its_side_has_left(server: Here, sent: bytes) -> None:
    with connected(server.port) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass  # until the server ends it too
    wait_until(lambda: server.engine.load().queued == 0)


def test_a_thousand_idle_connections_do_no_harm(server: Here, weights: Weights) -> None:
    with ExitStack() as stack:
        idle = [stack.enter_context(connected(server.port)) for _ in range(1000)]
        for seed in range(5):
            assert are_images(images_of(generate(server.port, seed)), weights, seed)
        assert all(ends(connection) for connection in idle)  # after their time


def test_one_connection_too_many_waits_until_another_ends(bundle: Path, weights: Weights) -> None:
    with serving_here(bundle, max_connections=3) as here, ExitStack() as stack:
        first, *_ = [stack.enter_context(connected(here.port)) for _ in range(3)]
        with connected(here.port) as fourth:
            fourth.sendall(request("POST", INFER, seed_request(7)))
            first.sendall(request("POST", INFER, seed_request(6)))
            assert are_images(images_of(read_answer(first)), weights, 6)
            assert not select([fourth], [], [], 0.2)[0]
            first.close()
            assert are_images(images_of(read_answer(fourth)), weights, 7)


def test_requests_in_one_stream_are_answered_in_their_order(server: Here, weights: Weights) -> None:
    seeds = range(10, 22)
    with connected(server.port) as connection:
        connection.sendall(b"".join(request("POST", INFER, seed_request(seed)) for seed in seeds))
        for seed in seeds:
            assert are_images(images_of(read_answer(connection)), weights, seed)


def test_a_request_that_waits_its_turn_is_no_idle_connection(bundle: Path, gate: Gate, weights: Weights) -> None:
    with serving_here(bundle, idle_timeout=0.1) as here, connected(here.port) as waiting:
        gate.close()
        waiting.sendall(request("GET", "/v2/health/live") + request("POST", INFER, seed_request(3)))
        assert read_answer(waiting).status == 200
        wait_until(lambda: status_of(here.port)["running"] == 1)
        with connected(here.port) as idle:
            assert ends(idle)
        gate.open()
        assert are_images(images_of(read_answer(waiting)), weights, 3)


def test_all_bodies_together_are_bounded(bundle: Path, weights: Weights) -> None:
    most = 2 * LONG_BODY
    whole, late = (seed_request(seed).ljust(size) for seed, size in ((7, LONG_BODY), (8, most - 1)))
    with serving_here(bundle, max_body=most, max_bodies=most) as here, connected(here.port) as connection:
        assert are_images(images_of(ask(here.port, "POST", INFER, whole)), weights, 7)
        connection.sendall(request("POST", INFER, late)[:-1])
        sleep(0.3)  # or the other one may come first, and this one be refused
        answer = ask(here.port, "POST", INFER, whole)
        assert answer.status == answer.problem["status"] == 503
        assert "retry-after" in answer.headers
        connection.sendall(b" ")
        assert are_images(images_of(read_answer(connection)), weights, 8)
        assert are_images(images_of(ask(here.port, "POST", INFER, whole)), weights, 7)


def test_a_header_that_is_given_twice_is_refused(server: Here) -> None:
    body = seed_request(1)
    twice = f"1\r\ninference-header-content-length: {len(body)}"
    answer = ask(server.port, "POST", INFER, body, inference_header_content_length=twice)
    assert answer.status == answer.problem["status"] == 400
    assert "twice" in answer.problem["detail"]
