"""A server that is busy: who is refused, until when, and what becomes of requests that nobody waits for any more."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import grpc as grpcio  # type: ignore[import-untyped]
import numpy as np
import pytest

from tests.serve.v2.messages import refusal, request_of, stub_of
from tests.serve.v2.tensors import seeded
from tests.serve.v2.wire import Answer, seeds, send
from tests.support.bundles import make_bundle, make_weights
from tests.support.serving import Here, serving_here

MANY = 4000  # images, in sixty runs of the engine
IMAGE = (32, 32, 3)
Code = grpcio.StatusCode


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    weights = make_weights(latent_dim=1024, image=IMAGE, features=2)
    bundle = make_bundle(tmp_path_factory.mktemp("busy") / "slow.ganport", weights, discriminator=False)
    with serving_here(bundle, grpc_port=0, max_count=MANY, max_queue=MANY + 100) as running:
        yield running


@pytest.fixture(scope="module")
def stub(here: Here) -> Iterator[Any]:
    with stub_of(str(here.grpc), max_receive_message_length=-1) as made:
        yield made


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


@contextmanager
def busy(here: Here, stub: Any, count: int = MANY) -> Iterator[None]:
    """So many images wait; they are given up in the end."""
    call = stub.ModelInfer.future(request_of(seeded(1, count)))
    until(lambda: here.engine.load().queued > count // 2)
    try:
        yield
    finally:
        call.cancel()
    until(lambda: here.engine.load().queued == 0)


def made(here: Here) -> int:
    """Images made so far."""
    return int(send(address(here), b"", path="/v1/status", method="GET").document["images"])


def address(here: Here) -> str:
    return urlsplit(here.url).netloc


def ask_http(here: Here, count: int, **members: Any) -> Answer:
    inputs = [seeds([1]), {"name": "count", "datatype": "UINT32", "shape": [1], "data": [count]}]
    outputs = [{"name": "image", "parameters": {"binary_data": True}}]
    return send(address(here), json.dumps({"inputs": inputs, "outputs": outputs, **members}).encode())


def test_a_full_queue_says_when_to_ask_again(here: Here, stub: Any) -> None:
    with busy(here, stub):
        error = refusal(lambda: stub.ModelInfer(request_of(seeded(1, MANY)), timeout=30))
        answer = ask_http(here, MANY)
    assert error.code() == Code.RESOURCE_EXHAUSTED
    trailers = dict(error.trailing_metadata())
    assert int(trailers["retry-after-ms"]) > 0
    assert "ask again" in error.details()
    assert answer.status == 429
    assert int(answer.headers["retry-after"]) > 0


def test_who_gives_up_leaves_the_queue(here: Here, stub: Any) -> None:
    before = made(here)
    with busy(here, stub):
        pass
    assert stub.ModelInfer(request_of(seeded(2, 3)), timeout=30).outputs[0].shape[0] == 3
    assert made(here) - before < MANY


def test_the_deadline_of_a_call_is_the_engines(here: Here, stub: Any) -> None:
    with busy(here, stub, MANY // 2):
        error = refusal(lambda: stub.ModelInfer(request_of(seeded(3, MANY // 2)), timeout=0.2))
    assert error.code() == Code.DEADLINE_EXCEEDED
    assert f"{MANY // 2} images would come later" in error.details()


def test_a_timeout_of_the_request_is_the_engines(here: Here, stub: Any) -> None:
    with busy(here, stub, MANY // 2):
        error = refusal(lambda: stub.ModelInfer(request_of(seeded(3, 64), timeout=100), timeout=30))
        answer = ask_http(here, 64, parameters={"timeout": 100})
    assert error.code() == Code.DEADLINE_EXCEEDED
    assert "64 images would come later than the 0.000 seconds" in error.details()
    assert (answer.status, answer.document["title"]) == (504, "Gateway Timeout")


def test_a_stream_goes_on_after_a_full_queue(here: Here, stub: Any) -> None:
    with busy(here, stub):
        requests = [request_of(seeded(1, count)) for count in (MANY, 2)]
        refused, answered = stub.ModelStreamInfer(iter(requests), timeout=60)
    assert "ask again" in refused.error_message
    assert len(np.frombuffer(answered.infer_response.raw_output_contents[0], np.uint8)) == 2 * np.prod(IMAGE)
