"""With a token every request needs it, but the page and the health; without one the bundle cannot be changed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.bundles import Weights
from tests.support.http_client import INFER, are_images, ask, generate, images_of
from tests.support.serving import Here, serving_here

TOKEN = "open-sesame"
RIGHT = f"Bearer {TOKEN}"


@pytest.fixture(scope="module")
def server(bundle: Path) -> Iterator[Here]:
    with serving_here(bundle, token=TOKEN) as here:
        yield here


@pytest.mark.parametrize("given", [None, "", TOKEN, "Bearer", "Bearer ", f"Basic {TOKEN}", RIGHT + "s", "Bearer ö"])
@pytest.mark.parametrize("path", ["/v1/status", "/metrics", INFER, "/admin/bundle", "/v2", "/nope", "/openapi.json"])
def test_nobody_passes_without_it(server: Here, path: str, given: str | None) -> None:
    method = "POST" if path in (INFER, "/admin/bundle") else "GET"
    headers: dict[str, Any] = {} if given is None else {"authorization": given}
    answer = ask(server.port, method, path, **headers)
    assert answer.status == answer.problem["status"] == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert TOKEN not in answer.body.decode()


@pytest.mark.parametrize("given", [RIGHT, f"bearer {TOKEN}", f"BEARER  {TOKEN}"])
def test_who_has_it_is_served(server: Here, weights: Weights, given: str) -> None:
    assert are_images(images_of(generate(server.port, 9, authorization=given)), weights, 9)
    assert ask(server.port, "GET", "/v1/status", authorization=given).document["ready"]


@pytest.mark.parametrize("path", ["/", "/v2/health/live", "/v2/health/ready"])
def test_page_and_health_are_open(server: Here, path: str) -> None:
    assert ask(server.port, "GET", path).status == 200


@pytest.mark.parametrize("path", ["/static/../v1/status", "/static/%2e%2e/v1/status", "/v2/health/../models/generator"])
def test_what_is_open_is_no_way_to_the_rest(server: Here, path: str) -> None:
    assert ask(server.port, "GET", path).status in (401, 404)


def test_without_a_token_the_bundle_cannot_be_changed(bundle: Path, other_bundle: Path) -> None:
    with serving_here(bundle) as here:
        answer = ask(here.port, "POST", "/admin/bundle", json.dumps({"path": str(other_bundle)}).encode())
        assert answer.status == answer.problem["status"] == 403
        assert "GANPORT_TOKEN" in answer.problem["detail"]
        served = ask(here.port, "GET", "/v1/status").document["bundle"]
        assert served["digest"] == here.engine.served.digest
