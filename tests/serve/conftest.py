"""Two small bundles of different images, their weights, and a gate that holds the engine's runs."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ganport_runtime import Discriminator, Generator

from tests.support.bundles import Weights, make_bundle, make_weights


@pytest.fixture(scope="session")
def weights() -> Weights:
    return make_weights()


@pytest.fixture(scope="session")
def other_weights() -> Weights:
    return make_weights(seed=1)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory, weights: Weights) -> Path:
    """To be read only."""
    return make_bundle(tmp_path_factory.mktemp("serve") / "tiny.ganport", weights)


@pytest.fixture(scope="session")
def other_bundle(tmp_path_factory: pytest.TempPathFactory, other_weights: Weights) -> Path:
    """To be read only."""
    return make_bundle(tmp_path_factory.mktemp("serve") / "other.ganport", other_weights)


# of one module each: modules of other folders have bundles of their own
@pytest.fixture(scope="module")
def generator(bundle: Path) -> Iterator[Generator]:
    with Generator.open(bundle, threads=1) as opened:
        yield opened


@pytest.fixture(scope="module")
def discriminator(bundle: Path) -> Iterator[Discriminator]:
    with Discriminator.open(bundle, threads=1) as opened:
        yield opened


class Gate:
    """Holds every run of a generator while it is closed, and fails them while it is broken."""

    def __init__(self) -> None:
        self._open, self.is_broken = threading.Event(), False
        self._open.set()

    def close(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    def wait(self) -> None:
        self._open.wait()
        if self.is_broken:
            raise RuntimeError("secret of the engine's inside")


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Stands before the runs of all generators of this process; open at first."""
    gate, run_bucket = Gate(), Generator.run_bucket

    def held(self: Generator, *values: Any) -> Any:
        gate.wait()
        return run_bucket(self, *values)

    monkeypatch.setattr(Generator, "run_bucket", held)
    yield gate
    gate.open()
