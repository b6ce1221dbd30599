"""The OpenAPI document: every path of the server, and what follows from its bundle and settings."""

import dataclasses
from pathlib import Path
from typing import Any

import httpx
from ganport_serve.app import routes
from ganport_serve.engine import Served
from ganport_serve.metrics import Metrics
from ganport_serve.openapi import document
from ganport_serve.service import Service
from ganport_serve.settings import Settings
from ganport_serve.v2 import http as v2

from tests.serve.v1.conftest import MAX_COUNT
from tests.support.serving import Here

SERVED = Served("tiny", Path("tiny.ganport"), "0" * 64, 4, (8, 8, 3), 10, (1, 2), {"generator": "a plan"})


def operations(of: dict[str, Any]) -> dict[str, Any]:
    return {path: operation for path, methods in of["paths"].items() for operation in methods.values()}


def test_every_path_stands_in_it(here: Here, client: httpx.Client) -> None:
    service = Service.of(here.engine, Settings(), Metrics())
    served = {route.path: {*route.methods} - {"HEAD"} for route in routes(service) if route.path not in v2.NOT_SERVED}
    paths = client.get("/openapi.json").json()["paths"]
    written = {path: {method.upper() for method in methods} for path, methods in paths.items()}
    both = ("/v2/models/{model}/infer", "/v2/models/{model}/versions/{version}/infer")
    assert {path: methods for path, methods in written.items() if not path.endswith("/infer")} == {
        path: methods for path, methods in served.items() if path not in both
    }


def test_its_limits_and_shapes_are_those_of_the_server(client: httpx.Client) -> None:
    answer = client.get("/openapi.json")
    found = answer.json()
    parameters = {one["name"]: one["schema"] for one in found["paths"]["/v1/images"]["get"]["parameters"]}
    assert parameters["count"] == {"type": "integer", "minimum": 1, "maximum": MAX_COUNT, "default": 16}
    features = found["paths"]["/v1/features"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    row = features["properties"]["features"]["items"]
    assert (row["minItems"], row["maxItems"]) == (10, 10)
    again = client.get("/openapi.json", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_example_requests_work(client: httpx.Client) -> None:
    tried = 0
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        example = methods.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json", {})
        if "example" in example and path != "/admin/bundle":
            assert client.post(path.replace("{version}", "1"), json=example["example"]).status_code == 200
            tried += 1
    assert tried >= 2


def test_what_a_bundle_has_not_stands_not_in_it() -> None:
    paths = document(dataclasses.replace(SERVED, feature_dim=None), Settings())["paths"]
    assert "/v1/images" in paths
    assert [path for path in paths if "discriminator" in path or path in ("/v1/scores", "/v1/features")] == []


def test_a_token_is_wanted_where_the_server_wants_it() -> None:
    free, guarded = (operations(document(SERVED, Settings(token=token))) for token in (None, "secret"))
    assert [path for path, operation in free.items() if "401" in operation["responses"]] == []
    open_to_all = {path for path, operation in guarded.items() if "401" not in operation["responses"]}
    assert open_to_all == {"/", "/static/{name}", "/v2/health/live", "/v2/health/ready"}
    assert all(guarded[path]["security"] == [] for path in open_to_all)
