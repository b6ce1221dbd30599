"""A tiny bundle as a model repository, and the real Triton server on it, started once."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tritonclient.grpc as triton_grpc  # type: ignore[import-untyped]
import tritonclient.http as triton_http  # type: ignore[import-untyped]
from ganport_serve.triton.choices import TritonChoices
from ganport_serve.triton.repository import export_repository
from triton_server import TritonAddresses, find_tritonserver, running

from tests.support.bundles import Weights, add_probe, make_bundle, make_weights

PYTHON = TritonChoices(backends=("python",), threads=1)


@pytest.fixture(scope="session")
def weights() -> Weights:
    return make_weights(latent_dim=10, image=(8, 6, 3), features=5)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory, weights: Weights) -> Path:
    """To be read only."""
    return add_probe(make_bundle(tmp_path_factory.mktemp("triton") / "tiny.ganport", weights), weights)


@dataclass(frozen=True)
class Served:
    """A running server, clients of both of its protocols, and its figures before anyone asked for an image."""

    addresses: TritonAddresses
    repository: Path
    http: Any
    grpc: Any
    first_statistics: dict[str, Any]

    def statistics(self, model: str) -> Any:
        """Triton's figures of a model: requests, rows and runs of the engine."""
        return self.http.get_inference_statistics(model)["model_stats"][0]


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Iterator[Served]:
    """The Python models of the bundle on the real server."""
    reason = find_tritonserver()
    if isinstance(reason, str):
        pytest.skip(reason)
    repository = tmp_path_factory.mktemp("repositories") / "models"
    export_repository(bundle, repository, PYTHON)
    with running(repository) as addresses:
        http = triton_http.InferenceServerClient(addresses.http, concurrency=8)
        grpc = triton_grpc.InferenceServerClient(addresses.grpc)
        try:
            models = ("ganport_generator", "ganport_discriminator")
            first = {model: http.get_inference_statistics(model)["model_stats"][0] for model in models}
            yield Served(addresses, repository, http, grpc, first)
        finally:
            http.close()
            grpc.close()
