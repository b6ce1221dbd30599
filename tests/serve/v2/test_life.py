"""gRPC through a server's life: starting, failing on a batch, draining; and what is counted meanwhile."""

import asyncio
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc as grpcio  # type: ignore[import-untyped]
import numpy as np
import pytest
from ganport_runtime import Generator
from ganport_serve.bundles import LocalEngine
from ganport_serve.metrics import Metrics
from ganport_serve.settings import Settings
from prometheus_client.parser import text_string_to_metric_families
from tritonclient.grpc import service_pb2 as pb  # type: ignore[import-untyped]

from tests.serve.triton.test_failing_engine import LIMIT, fragile_graph
from tests.serve.v2.conftest import Place
from tests.serve.v2.messages import refusal, request_of, stub_of
from tests.serve.v2.tensors import LATENT_DIM, latents, seeded
from tests.serve.v2.test_busy import until
from tests.serve.v2.wire import send
from tests.support.bundles import make_manifest, make_weights, write_manifest, write_variant
from tests.support.serving import serving_here

Code = grpcio.StatusCode


class LateEngine(LocalEngine):
    """The engine, which does not start before it may."""

    def __init__(self, path: Path, settings: Settings, metrics: Metrics) -> None:
        super().__init__(path, settings, metrics, threads=1)
        self.may_start = threading.Event()

    async def start(self) -> None:
        await asyncio.to_thread(self.may_start.wait, 30)
        await super().start()


def test_until_it_is_ready_it_says_so(bundle: Path, generator: Generator) -> None:
    with (
        serving_here(bundle, make_engine=LateEngine, ready=False, grpc_port=0) as here,
        stub_of(str(here.grpc)) as stub,
    ):
        assert isinstance(here.engine, LateEngine)
        assert stub.ServerLive(pb.ServerLiveRequest(), timeout=30).live
        assert not stub.ServerReady(pb.ServerReadyRequest(), timeout=30).ready
        assert not stub.ModelReady(pb.ModelReadyRequest(name="generator"), timeout=30).ready
        error = refusal(lambda: stub.ModelInfer(request_of(seeded(1)), timeout=30))
        assert error.code() == Code.UNAVAILABLE
        assert "starting" in error.details()
        assert int(dict(error.trailing_metadata())["retry-after-ms"]) > 0
        here.engine.may_start.set()
        until(lambda: bool(stub.ServerReady(pb.ServerReadyRequest(), timeout=30).ready))
        answer = stub.ModelInfer(request_of(seeded(1)), timeout=30)
    assert answer.raw_output_contents[0] == generator.sample(1, seed=1).tobytes()


def test_what_was_accepted_is_answered_when_it_stops(bundle: Path, generator: Generator) -> None:
    asked: queue.SimpleQueue[Any] = queue.SimpleQueue()
    with (
        serving_here(bundle, grpc_port=0, max_queue=50_000, max_count=50_000) as here,
        stub_of(str(here.grpc), max_receive_message_length=-1) as stub,
    ):
        asked.put(request_of(seeded(2)))
        stream = stub.ModelStreamInfer(iter(asked.get, None), timeout=60)  # nobody ends it
        assert next(stream).infer_response.raw_output_contents[0] == generator.sample(1, seed=2).tobytes()
        call = stub.ModelInfer.future(request_of(seeded(1, 40_000)), timeout=60)
        until(lambda: here.engine.load().queued > 40_000 // 2)
        here.server.stop()
        images = np.frombuffer(call.result().raw_output_contents[0], np.uint8).reshape(-1, 8, 6, 3)
        assert np.array_equal(images[-9:], generator.sample(9, seed=1, start=39_991))
        ended = refusal(lambda: next(stream))
        assert (ended.code(), ended.details()) == (Code.UNAVAILABLE, "the server is stopping; ask another one")
        assert refusal(lambda: stub.ModelInfer(request_of(seeded(1)), timeout=30)).code() == Code.UNAVAILABLE
        asked.put(None)


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    weights = make_weights(latent_dim=LATENT_DIM, image=(8, 6, 3))
    path = tmp_path_factory.mktemp("fragile") / "fragile.ganport"
    path.mkdir()
    variant = write_variant(path, "generator", fragile_graph(weights))
    write_manifest(path, make_manifest(weights, [variant], discriminator=False).to_json())
    with serving_here(path, grpc_port=0) as here, stub_of(str(here.grpc)) as stub:
        yield stub


def test_an_engine_that_fails_tells_no_secrets_and_goes_on(fragile: Any) -> None:
    z = np.full((1, LATENT_DIM), 5 * LIMIT, np.float32)
    error = refusal(lambda: fragile.ModelInfer(request_of({"z": z}), timeout=30))
    assert (error.code(), error.details()) == (
        Code.INTERNAL,
        "the engine failed on this batch; the server's log says why",
    )
    assert fragile.ModelInfer(request_of({"z": latents(2)}), timeout=30).outputs[0].shape[0] == 2


def test_without_a_discriminator_there_is_no_such_model(fragile: Any) -> None:
    request = request_of({"image": np.zeros((1, 8, 6, 3), np.uint8)}, model="discriminator")
    error = refusal(lambda: fragile.ModelInfer(request, timeout=30))
    assert error.code() == Code.NOT_FOUND
    assert "has no discriminator; serve one that was exported with it" in error.details()
    index = fragile.RepositoryIndex(pb.RepositoryIndexRequest(ready=True), timeout=30)
    assert [model.name for model in index.models] == ["generator"]


def test_calls_and_refusals_are_counted(place: Place) -> None:
    before = counted(place)
    with stub_of(place.grpc) as stub:
        stub.ModelInfer(request_of(seeded(1)), timeout=30)
        refusal(lambda: stub.ModelInfer(request_of(seeded(1, 0)), timeout=30))
        list(stub.ModelStreamInfer(iter([request_of(seeded(1))] * 3), timeout=30))
    after = counted(place)
    assert {key: after[key] - before.get(key, 0) for key in after if after[key] != before.get(key, 0)} == {
        ("ModelInfer", "200"): 1,
        ("ModelInfer", "400"): 1,
        ("ModelStreamInfer", "200"): 3,
        ("refusals", "bad_request"): 1,
    }


def counted(place: Place) -> dict[tuple[str, str], float]:
    """Calls of gRPC by method and status, and refusals by reason."""
    text = send(place.http, b"", path="/metrics", method="GET").body.decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    calls = {
        (sample.labels["route"], sample.labels["status"]): sample.value
        for sample in samples
        if sample.name == "ganport_requests_total" and sample.labels["protocol"] == "grpc"
    }
    refusals = {
        ("refusals", sample.labels["reason"]): sample.value
        for sample in samples
        if sample.name == "ganport_refusals_total"
    }
    return calls | refusals
