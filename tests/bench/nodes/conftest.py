"""A small network's bundle: wide enough that engines block its channels, in the forms and precisions that they fuse."""

from pathlib import Path

import pytest
from ganport_bench.speed.model import make_run
from ganport_export import export_run

from tests.support.tiny_run import TINY


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nodes")
    run = make_run(folder, lambda _step: None, **TINY | {"width": 16})
    export_run(run, folder / "nodes.ganport", forms=("phase", "fused"), precisions=("fp32", "int8"))
    return folder / "nodes.ganport"
