"""What `/metrics` and `/v1/status` count is what was asked, refused and made."""

from collections.abc import Iterator
from pathlib import Path
from time import sleep

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.serve.conftest import Gate
from tests.support.http_client import (
    INFER,
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

Figures = dict[tuple[str, frozenset[tuple[str, str]]], float]
INFER_ROUTE = "/v2/models/{model}/infer"


@pytest.fixture
def server(bundle: Path) -> Iterator[Here]:
    with serving_here(bundle, max_count=128) as here:
        yield here


def figures(port: int) -> Figures:
    """Every sample by its name and labels."""
    answer = ask(port, "GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = text_string_to_metric_families(answer.body.decode())
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def figure(found: Figures, name: str, **labels: str) -> float:
    return found.get((name, frozenset(labels.items())), 0.0)


def test_requests_images_and_refusals_are_counted(server: Here) -> None:
    for seed, count in enumerate((1, 1, 5)):
        images_of(generate(server.port, seed, count))
    assert generate(server.port, 1, 0).status == 400
    assert ask(server.port, "GET", "/nope/at/all").status == 404
    assert ask(server.port, "GET", "/nope").status == 404
    wait_until(lambda: status_of(server.port)["images"] == 7)  # a batch is reported after its answers
    found = figures(server.port)
    assert figure(found, "ganport_images_total") == 7
    assert figure(found, "ganport_requests_total", protocol="http", route=INFER_ROUTE, status="200") == 3
    assert figure(found, "ganport_requests_total", protocol="http", route=INFER_ROUTE, status="400") == 1
    assert figure(found, "ganport_requests_total", protocol="http", route="unmatched", status="404") == 2
    assert figure(found, "ganport_refusals_total", reason="bad_request") == 1
    assert figure(found, "ganport_refusals_total", reason="not_found") == 2
    assert figure(found, "ganport_request_seconds_count", protocol="http", route=INFER_ROUTE) == 4
    assert figure(found, "ganport_encoding_seconds_count", format="binary") == 3
    assert not [name for (name, labels) in found if any("nope" in value for _, value in labels)]


def test_batches_are_counted_by_their_images_and_time(server: Here) -> None:
    images_of(generate(server.port, 7, 100))  # a full top bucket, and 36 in the next one that holds them
    wait_until(lambda: status_of(server.port)["images"] == 100)
    found = figures(server.port)
    assert figure(found, "ganport_batch_images_sum", role="generator") == 100
    batches = figure(found, "ganport_batch_images_count", role="generator")
    padding = figure(found, "ganport_padding_images_total", role="generator")
    assert batches >= 2  # 36 are run as 32 and 4 where 64 take too long
    assert padding == 64 - 36 if batches == 2 else padding < 64 - 36
    assert figure(found, "ganport_batch_images_bucket", role="generator", le="64.0") == batches
    for name in ("queue", "latents", "engine"):
        assert figure(found, f"ganport_{name}_seconds_count", role="generator") >= 1
    assert figure(found, "ganport_engine_seconds_sum", role="generator") > 0
    assert figure(found, "ganport_queue_images") == figure(found, "ganport_running_images") == 0
    plan = server.engine.served.plans["generator"]
    assert figure(found, "ganport_plan_info", role="generator", plan=plan) == 1


def test_scores_are_batches_but_no_images(server: Here) -> None:
    images = np.zeros((3, 16, 16, 3), np.uint8)
    header = (
        b'{"inputs":[{"name":"image","datatype":"UINT8","shape":[3,16,16,3],"parameters":{"binary_data_size":2304}}]}'
    )
    answer = ask(
        server.port,
        "POST",
        INFER.replace("generator", "discriminator"),
        header + images.tobytes(),
        inference_header_content_length=str(len(header)),
    )
    assert answer.status == 200
    wait_until(lambda: figure(figures(server.port), "ganport_batch_images_sum", role="discriminator") == 3)
    assert status_of(server.port)["images"] == 0


def test_the_status_has_these_members(server: Here) -> None:
    before = status_of(server.port)
    images_of(generate(server.port, 1, 4))
    wait_until(lambda: status_of(server.port)["images"] == 4)
    status = status_of(server.port)
    served = server.engine.served
    first = ["ready", "reason", "bundle", "engine", "replicas", "plans", "images_per_second"]
    assert list(status) == [*first, "queue", "running", "latency_ms", "images", "refused", "uptime_seconds", "limits"]
    assert status["bundle"] == {
        "name": "tiny",
        "digest": served.digest,
        "image_shape": [16, 16, 3],
        "latent_dim": 12,
        "feature_dim": 10,
    }
    assert (status["ready"], status["reason"], status["engine"], status["replicas"]) == (True, None, "local", 1)
    assert status["plans"] == dict(served.plans)
    assert status["limits"] == {"max_count": 128}
    assert before["latency_ms"] is None
    assert 0 < status["latency_ms"]["p50"] <= status["latency_ms"]["p99"]
    assert 0 < before["uptime_seconds"] < status["uptime_seconds"]
    assert status["refused"] == 0
    wait_until(lambda: status_of(server.port)["images_per_second"] > 0)


def test_every_503_is_counted_by_its_own_reason(bundle: Path, gate: Gate) -> None:
    def reasons(port: int) -> set[str]:
        found = figures(port)
        return {dict(labels)["reason"] for name, labels in found if name == "ganport_refusals_total"}

    gate.close()
    with serving_here(bundle, ready=False) as starting:
        assert generate(starting.port, 1).status == 503
        assert reasons(starting.port) == {"not_ready"}
        gate.open()
    body = seed_request(1).ljust(100_000)
    with serving_here(bundle, max_body=100_000, max_bodies=100_000) as here, connected(here.port) as held:
        held.sendall(request("POST", INFER, body)[:-1])
        sleep(0.3)  # or the other one may come first, and this one be refused
        assert ask(here.port, "POST", INFER, body).status == 503
        assert reasons(here.port) == {"no_memory"}
    with serving_here(bundle) as here, connected(here.port) as accepted:
        gate.close()
        accepted.sendall(request("POST", INFER, seed_request(4)))
        wait_until(lambda: status_of(here.port)["running"] == 1)
        here.server.stop()
        wait_until(lambda: generate(here.port, 5).status == 503)
        assert reasons(here.port) == {"draining"}
        gate.open()
        assert read_answer(accepted).status == 200
