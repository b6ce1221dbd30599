"""Bundles for the tests of benchmarks."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from tests.support.handmade import write_bundle

MakeBundle = Callable[..., Path]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads of OpenMP spin while they wait for each other: on a busy machine tiny jobs take seconds with several."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gray 16x16 bundle with a discriminator of fixed weights."""
    return write_bundle(tmp_path_factory.mktemp("bundles") / "handmade.ganport")


@pytest.fixture
def make_bundle(tmp_path: Path) -> MakeBundle:
    """`write_bundle` into this test's folder."""

    def make(**settings: object) -> Path:
        return write_bundle(tmp_path / "made.ganport", **settings)  # type: ignore[arg-type]

    return make
