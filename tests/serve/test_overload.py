"""Under more than it can do: 429 at once, what was accepted is right, who leaves frees the queue, failures are told."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

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

QUEUE = 6


@pytest.fixture
def held(bundle: Path, gate: Gate) -> Iterator[Here]:
    """A server that is ready; its gate is closed by the test."""
    with serving_here(bundle, max_queue=QUEUE, max_count=QUEUE, request_timeout=20.0) as here:
        try:
            yield here
        finally:
            gate.open()


def busy(port: int) -> tuple[int, int]:
    status = status_of(port)
    return status["queue"], status["running"]


def test_what_does_not_fit_is_refused_at_once_and_the_rest_is_right(held: Here, gate: Gate, weights: Weights) -> None:
    gate.close()
    with ThreadPoolExecutor(QUEUE + 1) as pool:
        running = pool.submit(generate, held.port, 100)
        wait_until(lambda: busy(held.port) == (0, 1))
        waiting = [pool.submit(generate, held.port, seed) for seed in range(QUEUE)]
        wait_until(lambda: busy(held.port) == (QUEUE, 1))
        for _ in range(3):
            refused = generate(held.port, 7)
            assert refused.status == refused.problem["status"] == 429
            assert int(refused.headers["retry-after"]) >= 1
            assert refused.problem["retry_after"] > 0
        assert not any(one.done() for one in (running, *waiting))
        gate.open()
        assert are_images(images_of(running.result()), weights, 100)
        for seed, one in enumerate(waiting):
            assert are_images(images_of(one.result()), weights, seed)
    assert are_images(images_of(generate(held.port, 7)), weights, 7)
    assert status_of(held.port)["refused"] == 3


def binary_request(seed: int) -> bytes:
    """Head and body that are the same for every seed but for the last eight bytes."""
    inputs = [{"name": "seed", "datatype": "UINT64", "shape": [1], "parameters": {"binary_data_size": 8}}]
    outputs = [{"name": "image", "parameters": {"binary_data": True}}]
    text = json.dumps({"inputs": inputs, "outputs": outputs}).encode()
    return request("POST", INFER, text + seed.to_bytes(8, "little"), inference_header_content_length=str(len(text)))


def test_a_connection_whose_requests_were_refused_is_answered_once_there_is_room(
    held: Here, gate: Gate, weights: Weights
) -> None:
    gate.close()
    with ThreadPoolExecutor(QUEUE + 1) as pool, connected(held.port) as connection:
        running = pool.submit(generate, held.port, 100)
        wait_until(lambda: busy(held.port) == (0, 1))
        waiting = [pool.submit(generate, held.port, seed) for seed in range(QUEUE)]
        wait_until(lambda: busy(held.port) == (QUEUE, 1))
        for seed in range(3):
            connection.sendall(binary_request(seed))
            assert read_answer(connection).status == 429
        gate.open()
        for one in (running, *waiting):
            assert one.result().status == 200
        for seed in range(3):
            connection.sendall(binary_request(seed))
            assert are_images(images_of(read_answer(connection)), weights, seed)


@pytest.mark.parametrize("padding", [0, 70_000])  # bytes: small and large requests are read in different ways
def test_who_leaves_frees_the_queue(held: Here, gate: Gate, weights: Weights, padding: int) -> None:
    gate.close()
    with ExitStack() as stack:
        connections = [stack.enter_context(connected(held.port)) for _ in range(QUEUE + 1)]
        for number, connection in enumerate(connections):
            connection.sendall(request("POST", INFER, seed_request(number) + b" " * padding))
            # the first one is with the engine before another comes, or both would run as one batch
            wait_until(lambda: busy(held.port) == (number, 1))  # noqa: B023 - it is called at once
        assert busy(held.port) == (QUEUE, 1)
        for connection in connections[1:-1]:
            connection.close()
        wait_until(lambda: busy(held.port) == (1, 1), "a queue of one")
        gate.open()
        assert are_images(images_of(read_answer(connections[-1])), weights, QUEUE)
    wait_until(lambda: busy(held.port) == (0, 0))


def test_a_request_that_would_be_late_is_refused(held: Here, gate: Gate) -> None:
    gate.close()
    with connected(held.port) as first:
        first.sendall(request("POST", INFER, seed_request(1)))
        wait_until(lambda: busy(held.port) == (0, 1))
        late = ask(held.port, "POST", INFER, seed_request(2, timeout=50_000))  # microseconds
        assert late.status == late.problem["status"] == 504
        gate.open()
        assert read_answer(first).status == 200


@pytest.mark.parametrize("body", [seed_request(3), json.dumps(json.loads(seed_request(3)) | {"outputs": []}).encode()])
def test_an_engine_that_fails_says_nothing_of_its_inside(
    held: Here, gate: Gate, weights: Weights, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    gate.is_broken = True
    for answer in (ask(held.port, "POST", INFER, body), ask(held.port, "GET", "/v1/images/7.png")):
        assert answer.status == answer.problem["status"] == 500
        assert "secret" not in answer.body.decode()
        assert answer.headers["x-request-id"]
    errors = [record for record in caplog.records if record.name.startswith("ganport_serve")]
    assert any(record.exc_info and "secret" in str(record.exc_info[1]) for record in errors)
    gate.is_broken = False
    assert are_images(images_of(generate(held.port, 3)), weights, 3)
