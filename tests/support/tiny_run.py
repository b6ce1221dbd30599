"""A tiny run and its bundle, and the benchmark at its quickest."""

from functools import partial
from pathlib import Path

import pytest
from ganport_bench.speed.effort import Effort
from ganport_bench.speed.model import make_run
from ganport_export import export_run

TINY = {"resolution": 16, "width": 4, "latent_dim": 5, "batch_size": 8, "steps": 2, "threads": 1}
QUICK_PEERS = ("PyTorch, bf16 autocast", "ONNX Runtime")
QUICKEST = Effort(
    rounds=3, turn_seconds=0.01, screening_rounds=2, screening_seconds=0.01, batch_seconds=0.0, pause_seconds=0.0,
    images=16, screening_images=8,
)  # fmt: skip


def make_tiny_run(folder: Path, **settings: int) -> Path:
    """Two steps on digits, 16x16, width 4."""
    return make_run(folder, lambda _step: None, **TINY, **settings)


def make_tiny_bundle(run: Path, folder: Path) -> Path:
    """One form of it, exact and in int8."""
    bundle = folder / "tiny.ganport"
    export_run(run, bundle, forms=("phase",), precisions=("fp32", "int8"))
    return bundle


def measure_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few and short turns, one thread, small products, and the peers that need no compiler."""
    from ganport_bench.ceilings import measure_bandwidth, measure_peaks
    from ganport_bench.overhead.null_backend import measure_overhead
    from ganport_bench.peers import Contender, Source, peers_of

    def some_peers(source: Source) -> tuple[Contender, ...]:
        return tuple(one for one in peers_of(source) if one.name in QUICK_PEERS)

    limits = "ganport_bench.speed.ceilings"
    monkeypatch.setattr(f"{limits}.measure_peaks", partial(measure_peaks, shapes=[(64, 64, 64)]))
    monkeypatch.setattr(f"{limits}.measure_bandwidth", partial(measure_bandwidth, cache_bytes=2**22))
    monkeypatch.setattr("ganport_bench.ceilings.bandwidth.CALL_BYTES", 2**20)
    monkeypatch.setattr("ganport_bench.speed.measure.measure_overhead", partial(measure_overhead, rounds=2))
    monkeypatch.setattr("ganport_bench.speed.measure.peers_of", some_peers)
    for module in ("threads", "eager", "onnxruntime", "openvino"):
        monkeypatch.setattr(f"ganport_bench.peers.{module}.thread_choices", lambda: (1,))
    monkeypatch.setattr("ganport_runtime.tuning.tuner.TURN_SECONDS", 0.001)
    monkeypatch.setattr("ganport_runtime.tuning.tuner.ROUNDS", 2)
