"""One real server for the protocol's tests, HTTP and gRPC on free ports, around a bundle of tiny networks."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import tritonclient.grpc as triton_grpc  # type: ignore[import-untyped]
import tritonclient.http as triton_http  # type: ignore[import-untyped]

from tests.serve.v2.tensors import LATENT_DIM
from tests.support.bundles import make_bundle, make_weights
from tests.support.serving import Here, serving_here

MAX_COUNT, MAX_BODY = 200, 2**20


@dataclass(frozen=True)
class Place:
    """Where a server listens, as tritonclient wants it, and the bundle that it serves."""

    http: str
    grpc: str
    bundle: Path


def place_of(here: Here, bundle: Path) -> Place:
    assert here.grpc is not None
    return Place(urlsplit(here.url).netloc, here.grpc, bundle)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """To be read only."""
    weights = make_weights(latent_dim=LATENT_DIM, image=(8, 6, 3), features=5)
    return make_bundle(tmp_path_factory.mktemp("v2") / "tiny.ganport", weights)


@pytest.fixture(scope="session")
def place(bundle: Path) -> Iterator[Place]:
    with serving_here(bundle, grpc_port=0, max_count=MAX_COUNT, max_body=MAX_BODY) as here:
        yield place_of(here, bundle)


@pytest.fixture(scope="session")
def http(place: Place) -> Iterator[Any]:
    """tritonclient's client of HTTP, unchanged."""
    with triton_http.InferenceServerClient(place.http, concurrency=8) as client:
        yield client


@pytest.fixture(scope="session")
def grpc(place: Place) -> Iterator[Any]:
    """tritonclient's client of gRPC, unchanged."""
    with triton_grpc.InferenceServerClient(place.grpc) as client:
        yield client
