"""Tiny bundles, and imports that take no time."""

from pathlib import Path

import pytest

from tests.support.bundles import add_probe, make_variety, make_weights
from tests.support.engine_bundles import make_engine_bundle
from tests.support.typed_graphs import source


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Two forms in fp32, one in int8, and a probe."""
    weights = make_weights()
    return add_probe(make_variety(tmp_path / "some.ganport", weights), weights)


@pytest.fixture
def typed_bundle(tmp_path: Path) -> Path:
    """Graphs of which engines are built: one that computes in int8 as TensorRT wants it, one that does not."""
    sources = [source("deconv", "fp32"), source("phase", "fp32"), source("phase", "u8s8")]
    return make_engine_bundle(tmp_path / "typed.ganport", sources, [])


@pytest.fixture
def light_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules that are imported in no time."""
    monkeypatch.setattr("ganport_bench.start.importing.MODULES", ("numpy", "no_such_module"))
    monkeypatch.setattr("ganport_bench.start.importing.CONTRAST", "json")
