"""The gRPC client against a server of known latency and known faults."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc  # type: ignore[import-untyped]
import numpy as np
import pytest
from ganport_bench.client import grpc as client
from ganport_bench.client.grpc import METHOD, grpc_loop
from ganport_bench.client.outcome import CHECKED
from ganport_bench.errors import BenchError
from tritonclient.grpc.service_pb2 import (  # type: ignore[import-untyped]
    ModelInferRequest,
    ModelInferResponse,
)

from tests.bench.client.fake_server import EXPECTED, image_of

DELAY = 0.03  # seconds


@contextmanager
def serving(says: Callable[[int], bytes], delay: float = 0.0) -> Iterator[str]:
    """The address of a server that answers a seed with these bytes; none end the call with an error."""

    def infer(request: ModelInferRequest, context: grpc.ServicerContext) -> ModelInferResponse:
        time.sleep(delay)
        image = says(int.from_bytes(request.raw_input_contents[0], "little"))
        if not image:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "the queue is full")
        return ModelInferResponse(raw_output_contents=[image])

    serialized = {"request_deserializer": ModelInferRequest.FromString}
    method = grpc.unary_unary_rpc_method_handler(
        infer, response_serializer=ModelInferResponse.SerializeToString, **serialized
    )
    service, _, name = METHOD.strip("/").partition("/")
    with ThreadPoolExecutor(16) as pool:
        server = grpc.server(pool)
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {name: method})])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(None).wait()


@pytest.mark.parametrize("clients", [1, 4], ids=["blocking", "asyncio"])
def test_a_known_latency_is_reported_and_images_are_compared(clients: int) -> None:
    with serving(image_of, DELAY) as address:
        outcome = grpc_loop(address, EXPECTED, clients=clients, seconds=0.5)
    assert outcome.is_right, outcome.faults()
    assert float(np.min(outcome.latencies(200))) >= DELAY
    assert outcome.requests > clients
    assert outcome.rate(0, 0.5) <= 1.05 * clients / DELAY
    assert outcome.checked == -(-outcome.requests // CHECKED)
    assert outcome.cpu_seconds > 0


@pytest.mark.parametrize("clients", [1, 4], ids=["blocking", "asyncio"])
def test_wrong_images_and_refusals_are_counted_and_named(clients: int) -> None:
    def says(seed: int) -> bytes:
        return {0: bytes(47) + b"!", 1: b""}.get(seed, image_of(seed))

    with serving(says) as address:
        outcome = grpc_loop(address, EXPECTED, clients=clients, seconds=0.5)
    assert set(outcome.wrong) == {"another image than Generator.sample makes"}
    assert set(outcome.lost) == {"RESOURCE_EXHAUSTED: the queue is full"}
    assert sum(outcome.lost.values()) == int(np.count_nonzero(outcome.status == 0))


@pytest.mark.parametrize("clients", [1, 2])
def test_an_address_where_nothing_listens_takes_one_line(clients: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "CONNECT_SECONDS", 0.3)
    with pytest.raises(BenchError, match="takes no gRPC connection"):
        grpc_loop("127.0.0.1:1", EXPECTED, clients=clients, seconds=1)
