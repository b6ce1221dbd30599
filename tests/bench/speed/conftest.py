"""A tiny run and its bundle, and the benchmark at its quickest."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
from ganport_bench.ceilings import measure_peaks
from ganport_bench.peers import Contender, Source, peers_of
from ganport_bench.speed.model import make_run
from ganport_export import export_run

from tests.bench.speed.fakes import QUICKEST

TINY = {"resolution": 16, "width": 4, "latent_dim": 5, "batch_size": 8, "steps": 2, "threads": 1}
QUICK_PEERS = ("PyTorch, bf16 autocast", "ONNX Runtime")


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two steps on digits, 16x16, width 4."""
    return make_run(tmp_path_factory.mktemp("speed-run"), lambda _step: None, **TINY)


@pytest.fixture(scope="session")
def bundle(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One form of it, exact and in int8."""
    folder = tmp_path_factory.mktemp("speed-bundle") / "tiny.ganport"
    export_run(run, folder, forms=("phase",), precisions=("fp32", "int8"))
    return folder


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Few and short turns, one thread, small products, and the peers that need no compiler."""

    def some_peers(source: Source) -> tuple[Contender, ...]:
        return tuple(one for one in peers_of(source) if one.name in QUICK_PEERS)

    small = partial(measure_peaks, shapes=[(64, 64, 64)])
    monkeypatch.setattr("ganport_bench.speed.measure.measure_peaks", small)
    monkeypatch.setattr("ganport_bench.speed.measure.peers_of", some_peers)
    for module in ("threads", "eager", "onnxruntime", "openvino"):
        monkeypatch.setattr(f"ganport_bench.peers.{module}.thread_choices", lambda: (1,))
    for effort in ("QUICK", "FULL"):
        monkeypatch.setattr(f"ganport_bench.speed.__main__.{effort}", QUICKEST)
    monkeypatch.setattr("ganport_bench.tuning.turns.TURN_SECONDS", 0.001)
    monkeypatch.setattr("ganport_bench.tuning.turns.ROUNDS", 2)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
