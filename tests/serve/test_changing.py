"""Another bundle takes over under load: no request lost, each answered by one bundle; a bad one changes nothing."""

import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ganport_serve.bundles import is_loading

from tests.serve.conftest import Gate
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
    wait_until,
)
from tests.support.serving import Here, Serving, serving, serving_here

TOKEN = "open-sesame"
RIGHT: dict[str, Any] = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def server(bundle: Path) -> Iterator[Here]:
    with serving_here(bundle, token=TOKEN) as here:
        yield here


def change(port: int, document: object) -> Answer:
    return ask(port, "POST", "/admin/bundle", json.dumps(document).encode(), **RIGHT)


class Load:
    """Clients that ask one image after another, each on its own connection, until they are told to stop."""

    def __init__(self, port: int, clients: int = 4) -> None:
        self._port, self._end, self.asked = port, threading.Event(), 0
        self._pool = ThreadPoolExecutor(clients)
        self._clients = [self._pool.submit(self._run, number) for number in range(clients)]

    def stop(self) -> list[tuple[int, Answer]]:
        """Every seed that was asked for with its answer."""
        self._end.set()
        with self._pool:
            return [pair for client in self._clients for pair in client.result()]

    def _run(self, number: int) -> list[tuple[int, Answer]]:
        pairs: list[tuple[int, Answer]] = []
        with connected(self._port) as connection:
            while not self._end.is_set():
                seed = number * 1_000_000 + len(pairs)
                connection.sendall(request("POST", INFER, seed_request(seed, 3), **RIGHT))
                pairs.append((seed, read_answer(connection)))
                self.asked += 1
        return pairs


def test_under_load_no_request_is_lost_or_mixed(
    server: Here, other_bundle: Path, weights: Weights, other_weights: Weights
) -> None:
    load = Load(server.port)
    wait_until(lambda: load.asked > 20)
    answer = change(server.port, {"path": str(other_bundle)})
    assert answer.status == 200
    after = images_of(generate(server.port, 5, 2, **RIGHT))
    so_far = load.asked
    wait_until(lambda: load.asked > so_far + 20)
    pairs = load.stop()
    assert are_images(after, other_weights, 5, 2)
    old = [are_images(images_of(answer), weights, seed, 3) for seed, answer in pairs]
    new = [are_images(images_of(answer), other_weights, seed, 3) for seed, answer in pairs]
    assert all(one != another for one, another in zip(old, new, strict=True))
    assert any(old)
    assert any(new)
    assert answer.document["digest"] == server.engine.served.digest
    assert str(other_bundle) == str(server.engine.served.path)


def test_who_asks_for_another_bundle_may_leave(server: Here, gate: Gate, other_bundle: Path) -> None:
    before = server.engine.served.digest
    with connected(server.port) as connection:
        gate.close()
        body = json.dumps({"path": str(other_bundle)}).encode()
        connection.sendall(request("POST", "/admin/bundle", body, **RIGHT))
        wait_until(is_loading, "the new bundle's opening")
    left = b'route="/admin/bundle",status="499"'
    wait_until(lambda: left in ask(server.port, "GET", "/metrics", **RIGHT).body, "its leaving")
    gate.open()
    wait_until(lambda: server.engine.served.digest != before, "the change")


def bad_bundles(folder: Path, bundle: Path) -> Iterator[Path]:
    yield folder / "absent.ganport"
    for name, file, data in (("altered", "generator-deconv-fp32.onnx", b"no graph"), ("broken", "manifest.json", b"{")):
        shutil.copytree(bundle, folder / name)
        (folder / name / file).write_bytes(data)
        yield folder / name


def test_a_bad_bundle_leaves_the_old_one_serving(server: Here, tmp_path: Path, bundle: Path, weights: Weights) -> None:
    for path in bad_bundles(tmp_path, bundle):
        answer = change(server.port, {"path": str(path)})
        assert answer.status == answer.problem["status"] == 422
        assert answer.problem["field"] == "path"
        assert path.name in answer.problem["detail"]
        assert "goes on" in answer.problem["detail"]
        assert are_images(images_of(generate(server.port, 8, **RIGHT)), weights, 8)


@pytest.mark.parametrize("document", [None, {}, [], {"path": 7}, {"path": ""}, {"path": "a\0b"}, "x"])
def test_a_request_without_a_path_is_refused(server: Here, document: object) -> None:
    answer = change(server.port, document)
    assert answer.status == answer.problem["status"] == 400
    assert answer.problem["field"] in ("path", "body")
    assert ask(server.port, "POST", "/admin/bundle", b"{", **RIGHT).problem["status"] == 400


def test_a_bundle_of_another_shape_takes_over(server: Here, tmp_path: Path) -> None:
    wide = make_weights(latent_dim=5, image=(8, 12, 1))
    answer = change(server.port, {"path": str(make_bundle(tmp_path / "wide", wide, discriminator=False))})
    assert set(answer.document["plans"]) == {"generator"}
    assert are_images(images_of(generate(server.port, 2, 4, **RIGHT)), wide, 2, 4)
    assert ask(server.port, "GET", "/v2/models/discriminator", **RIGHT).status == 404
    metrics = ask(server.port, "GET", "/metrics", **RIGHT).body.decode()
    assert 'role="generator"' in metrics
    assert not [line for line in metrics.splitlines() if line.startswith("ganport_plan_info{") and "discr" in line]


def put(bundle: Path, place: Path) -> None:
    """Let another bundle take a place at once, as a deployment does."""
    new = place.with_name("new")
    new.symlink_to(bundle)
    new.rename(place)


@pytest.mark.slow
def test_a_signal_loads_the_bundle_again(
    tmp_path: Path, bundle: Path, other_bundle: Path, weights: Weights, other_weights: Weights
) -> None:
    place = tmp_path / "current.ganport"
    place.symlink_to(bundle)
    with serving(place, "--no-grpc", token=TOKEN) as server:
        load = Load(server.port, 2)
        wait_until(lambda: load.asked > 5)
        put(tmp_path / "absent", place)
        os.kill(server.process.pid, signal.SIGHUP)
        wait_until(lambda: _said(server, "the bundle was not changed"))
        assert are_images(images_of(generate(server.port, 6, **RIGHT)), weights, 6)
        put(other_bundle, place)
        os.kill(server.process.pid, signal.SIGHUP)
        wait_until(lambda: _said(server, "the bundle was changed"))
        assert are_images(images_of(generate(server.port, 6, **RIGHT)), other_weights, 6)
        for seed, answer in load.stop():
            images = images_of(answer)
            assert are_images(images, weights, seed, 3) != are_images(images, other_weights, seed, 3)


def _said(server: Serving, event: str) -> bool:
    return any(said["event"] == event for said in server.events())
