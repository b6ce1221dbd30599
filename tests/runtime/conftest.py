"""A small bundle for every test of the runtime, and copies of it to damage."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from ganport_runtime import Discriminator, Generator

from tests.support.bundles import Weights, make_bundle, make_variety, make_weights


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


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which ganport remembers things, not there yet."""
    monkeypatch.setenv("GANPORT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def variety(tmp_path: Path, weights: Weights) -> Path:
    """A bundle of two forms in fp32 and one in int8."""
    return make_variety(tmp_path / "variety.ganport", weights)
