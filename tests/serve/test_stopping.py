"""SIGTERM: not ready at once, every accepted request is answered, exit 0; told twice, it does not wait."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc  # type: ignore[import-untyped]
import numpy as np
import pytest
from ganport_serve.errors import ServeError

from tests.serve.conftest import Gate
from tests.serve.v2.messages import refusal, request_of, stub_of
from tests.support.bundles import Weights, make_bundle, make_weights
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
    status_of,
    wait_until,
)
from tests.support.serving import serving, serving_here


@pytest.fixture(scope="module")
def slow_weights() -> Weights:
    """Some 5,000 images a second on one core."""
    return make_weights(latent_dim=400, image=(64, 64, 3))


@pytest.fixture(scope="module")
def slow_bundle(tmp_path_factory: pytest.TempPathFactory, slow_weights: Weights) -> Path:
    return make_bundle(tmp_path_factory.mktemp("slow") / "slow.ganport", slow_weights, discriminator=False)


@pytest.mark.slow
def test_a_signal_under_load_loses_nothing(slow_bundle: Path, slow_weights: Weights) -> None:
    clients, count = 6, 500
    with serving(slow_bundle, "--max-queue", 10_000) as server, ThreadPoolExecutor(clients) as pool:
        asked = [pool.submit(generate, server.port, seed, count) for seed in range(clients)]
        wait_until(lambda: _known(server.port) > (clients - 1) * count, "acceptance")
        with connected(server.port) as probe:
            os.kill(server.process.pid, signal.SIGTERM)
            wait_until(lambda: any(event["event"] == "draining" for event in server.events()))
            probe.sendall(request("GET", "/v2/health/ready"))
            answer = read_answer(probe)
            assert answer.status == answer.problem["status"] == 503
            assert "retry-after" in answer.headers
        for seed, one in enumerate(asked):
            images = images_of(one.result())
            assert are_images(images[-2:], slow_weights, seed, 2, count - 2)
            assert len(np.unique(images[:, 0, 0], axis=0)) > 1
        assert server.process.wait(30) == 0
        draining, stopped = server.events()[-2:]
        assert (draining["event"], stopped["event"]) == ("draining", "stopped")
        assert draining["unanswered"] > 0


def _known(port: int) -> int:
    """Images that wait, run or are made."""
    status = status_of(port)
    return int(status["queue"] + status["running"] + status["images"])


def test_while_it_drains_it_says_so_and_takes_nothing(bundle: Path, gate: Gate, weights: Weights) -> None:
    with serving_here(bundle) as here, connected(here.port) as accepted:
        gate.close()
        accepted.sendall(request("POST", INFER, seed_request(4)))
        wait_until(lambda: status_of(here.port)["running"] == 1)
        here.server.stop()
        wait_until(lambda: not status_of(here.port)["ready"], "draining")
        for answer in (
            generate(here.port, 5),
            _get(here.port, "/v2/health/ready"),
            _get(here.port, "/v1/images/7.png"),
        ):
            assert answer.status == answer.problem["status"] == 503
            assert "stopping" in answer.problem["detail"]
        assert "stopping" in status_of(here.port)["reason"]
        assert _get(here.port, "/v2/health/live").status == _get(here.port, "/metrics").status == 200
        gate.open()
        assert are_images(images_of(read_answer(accepted)), weights, 4)


def _get(port: int, path: str) -> Answer:
    return ask(port, "GET", path)


def stop_while_one_is_asked(bundle: Path, gate: Gate, *, times: int, drain_timeout: float) -> None:
    with serving_here(bundle, drain_timeout=drain_timeout) as here, connected(here.port) as lost:
        gate.close()
        lost.sendall(request("POST", INFER, seed_request(4)))
        wait_until(lambda: status_of(here.port)["running"] == 1)
        here.server.stop()
        if times > 1:
            wait_until(lambda: not status_of(here.port)["ready"], "draining")
            here.server.stop()
        threading.Timer(0.8, gate.open).start()  # an engine's run cannot be interrupted
        assert read_answer(lost).status == 503


@pytest.mark.parametrize(("times", "drain_timeout"), [(2, 30.0), (1, 0.3)])
def test_told_twice_or_after_its_time_it_does_not_wait(
    bundle: Path, gate: Gate, times: int, drain_timeout: float
) -> None:
    with pytest.raises(ServeError, match="1 accepted requests were not answered"):
        stop_while_one_is_asked(bundle, gate, times=times, drain_timeout=drain_timeout)


def stop_while_one_is_called(bundle: Path, gate: Gate, *, times: int, drain_timeout: float) -> None:
    with serving_here(bundle, drain_timeout=drain_timeout, grpc_port=0) as here, stub_of(str(here.grpc)) as stub:
        gate.close()
        lost = stub.ModelInfer.future(request_of({"seed": np.array([4], np.uint64)}), timeout=30)
        wait_until(lambda: status_of(here.port)["running"] == 1)
        here.server.stop()
        if times > 1:
            wait_until(lambda: not status_of(here.port)["ready"], "draining")
            here.server.stop()
        assert refusal(lost.result).code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
        gate.open()


@pytest.mark.parametrize(("times", "drain_timeout"), [(2, 30.0), (1, 0.1)])
def test_calls_of_grpc_that_are_lost_are_told(bundle: Path, gate: Gate, times: int, drain_timeout: float) -> None:
    with pytest.raises(ServeError, match="1 accepted requests were not answered"):
        stop_while_one_is_called(bundle, gate, times=times, drain_timeout=drain_timeout)


def test_a_body_that_comes_while_it_drains_is_refused(bundle: Path, gate: Gate, weights: Weights) -> None:
    with serving_here(bundle) as here, connected(here.port) as accepted, connected(here.port) as late:
        gate.close()
        body = seed_request(5)
        late.sendall(request("POST", INFER, body)[: -len(body)])
        accepted.sendall(request("POST", INFER, seed_request(4)))
        wait_until(lambda: status_of(here.port)["running"] == 1)
        here.server.stop()
        wait_until(lambda: not status_of(here.port)["ready"], "draining")
        late.sendall(body)
        answer = read_answer(late)
        assert answer.status == answer.problem["status"] == 503
        gate.open()
        assert are_images(images_of(read_answer(accepted)), weights, 4)
