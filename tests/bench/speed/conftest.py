"""A tiny run and its bundle."""

from pathlib import Path

import pytest

from tests.support.tiny_run import make_tiny_bundle, make_tiny_run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_run(tmp_path_factory.mktemp("speed-run"))


@pytest.fixture(scope="session")
def bundle(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_bundle(run, tmp_path_factory.mktemp("speed-bundle"))
