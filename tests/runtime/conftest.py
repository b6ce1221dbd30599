"""A small bundle for every test of the runtime, and copies of it to damage."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from ganport_runtime import Discriminator, Generator

from tests.support.bundles import Weights, make_bundle, make_weights


@pytest.fixture(scope="session")
def weights() -> Weights:
    return make_weights()


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory, weights: Weights) -> Path:
    """To be read only."""
    return make_bundle(tmp_path_factory.mktemp("bundles") / "tiny.ganport", weights)


@pytest.fixture
def own_bundle(bundle: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(bundle, tmp_path / "own.ganport"))


@pytest.fixture
def generator(bundle: Path) -> Iterator[Generator]:
    with Generator.open(bundle) as opened:
        yield opened


@pytest.fixture
def discriminator(bundle: Path) -> Iterator[Discriminator]:
    with Discriminator.open(bundle) as opened:
        yield opened
