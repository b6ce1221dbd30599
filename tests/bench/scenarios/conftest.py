"""A dense generator that takes long enough for LoadGen, and the shortest runs."""

from pathlib import Path

import pytest
from ganport_bench.scenarios import Effort

from tests.support.bundles import make_bundle, make_weights

QUICKEST = Effort(
    limit_seconds=0.1, search_seconds=0.05, search_steps=2, confirmations=2,
    checked=60, warm_seconds=0.02, null_queries=50,
)  # fmt: skip


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64x64 images of 256 latents by one product of matrices."""
    weights = make_weights(latent_dim=256, image=(64, 64, 3))
    return make_bundle(tmp_path_factory.mktemp("scenarios") / "dense.ganport", weights, discriminator=False)
