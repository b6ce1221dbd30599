"""Live at once, ready only when every bucket is warm; and what is said where it cannot start, or may stop before."""

import logging
import resource
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from ganport_runtime import BundleError
from ganport_serve.bundles import is_loading
from ganport_serve.errors import ServeError

from tests.serve.conftest import Gate
from tests.support.bundles import Weights
from tests.support.http_client import HOST, are_images, ask, connected, generate, images_of, status_of, wait_until
from tests.support.serving import Here, serving_here


@pytest.fixture
def starting(bundle: Path, gate: Gate) -> Iterator[Here]:
    """A server whose first run of the engine does not end before the gate is opened."""
    gate.close()
    with serving_here(bundle, ready=False) as here:
        yield here


def test_it_is_live_at_once_and_ready_when_it_is_warm(starting: Here, gate: Gate, weights: Weights) -> None:
    port = starting.port
    assert ask(port, "GET", "/v2/health/live").status == 200
    for path in ("/v2/health/ready", "/v2/models/generator/ready", "/v2/models/generator"):
        answer = ask(port, "GET", path)
        assert answer.status == answer.problem["status"] == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert "starting" in answer.problem["detail"]
    assert generate(port, 1).problem["status"] == 503
    status = status_of(port)
    assert (status["ready"], status["bundle"], status["plans"]) == (False, None, {})
    assert "starting" in status["reason"]
    assert ask(port, "GET", "/metrics").status == 200
    gate.open()
    wait_until(lambda: ask(port, "GET", "/v2/health/ready").status == 200, "readiness")
    assert status_of(port)["ready"]
    assert are_images(images_of(generate(port, 1)), weights, 1)


def test_it_stops_although_it_has_not_yet_started(starting: Here, gate: Gate) -> None:
    starting.server.stop()
    wait_until(lambda: _is_gone(starting.port), "the end")
    assert is_loading()  # what nobody can interrupt, and nobody waits for
    gate.open()
    wait_until(lambda: not is_loading(), "the end of what was left behind")
    assert not [thread for thread in threading.enumerate() if "batcher" in thread.name.lower()]


def _is_gone(port: int) -> bool:
    try:
        with connected(port):
            return False
    except ConnectionRefusedError:
        return True


def test_a_bundle_that_cannot_be_opened_ends_it(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="absent"), serving_here(tmp_path / "absent"):
        pass


def test_an_altered_bundle_ends_it(tmp_path: Path, bundle: Path) -> None:
    altered = tmp_path / "altered.ganport"
    altered.mkdir()
    for file in bundle.iterdir():
        (altered / file.name).write_bytes(file.read_bytes() + (b"\n" if file.suffix == ".onnx" else b""))
    with pytest.raises(BundleError, match="onnx"), serving_here(altered):
        pass


def test_a_port_that_is_taken_is_named(bundle: Path) -> None:
    with serving_here(bundle, grpc_port=0) as here:
        with pytest.raises(ServeError, match=f"{HOST}:{here.port}: "), serving_here(bundle, port=here.port):
            pass
        grpc_port = int((here.grpc or "").rpartition(":")[2])
        with pytest.raises(ServeError, match=f"{HOST}:{grpc_port}: "), serving_here(bundle, grpc_port=grpc_port):
            pass
        assert ask(here.port, "GET", "/v2/health/ready").status == 200


def test_a_host_that_is_not_here(bundle: Path) -> None:
    with pytest.raises(ServeError, match="--host"), serving_here(bundle, host="192.0.2.1"):
        pass


def test_a_server_in_a_program_leaves_that_program_as_it_was(bundle: Path) -> None:
    def settings() -> object:
        return (
            sys.getswitchinterval(),
            warnings.filters[:],
            [*logging.root.handlers],
            resource.getrlimit(resource.RLIMIT_NOFILE),
        )

    before = settings()
    with serving_here(bundle, grpc_port=0) as here:
        assert ask(here.port, "GET", "/v1/images/7.png").status == 200
        assert settings() == before
