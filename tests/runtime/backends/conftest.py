"""A bundle with a graph and an engine of it, built once for every test of the engines' backend."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from ganport_runtime.manifest import CompiledEngine

from tests.support.engine_bundles import make_engine_bundle
from tests.support.typed_graphs import source


@dataclass(frozen=True)
class EngineBundle:
    """To be read only."""

    path: Path
    engine: CompiledEngine
    data: bytes


@pytest.fixture(scope="session")
def engine_bundle(tmp_path_factory: pytest.TempPathFactory) -> EngineBundle:
    pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx, which builds engines, has no wheel for this platform")
    from ganport_export.engines import build_engines

    sources = [source("deconv", "fp32")]
    (built,) = build_engines(sources, ["tensorrt-rtx"], pytest.fail)
    path = make_engine_bundle(tmp_path_factory.mktemp("engines") / "engines.ganport", sources, [built])
    return EngineBundle(path, built.engine, built.data)
