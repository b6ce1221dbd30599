"""A tiny run and its bundle, and the benchmark at its quickest."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from ganport_bench.effort import QUICK
from ganport_bench.subject import BaselineSource, make_run
from ganport_export import export_run

TINY = {"resolution": 16, "width": 4, "latent_dim": 5, "batch_size": 8, "steps": 2, "threads": 1}
QUICK_BASELINES = ("PyTorch, bf16 autocast", "ONNX Runtime")
QUICKEST = replace(
    QUICK, tuning_seconds=0.5, rounds=3, turn_seconds=0.01, screening_rounds=2, screening_seconds=0.01,
    batch_seconds=0.0, images=16, screening_images=8, imports=1, lives=1, builds=1, calls=1, limit_seconds=0.1,
    search_seconds=0.05, checked=60,
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
    """Few and short turns, one thread, small products, and the baselines that need no compiler."""
    from ganport_bench.baselines import SystemUnderTest, baselines_of
    from ganport_bench.null_backend import measure_overhead
    from ganport_bench.peaks import measure_bandwidth, measure_peaks

    def some(source: BaselineSource) -> tuple[SystemUnderTest, ...]:
        return tuple(one for one in baselines_of(source) if one.name in QUICK_BASELINES)

    monkeypatch.setattr("ganport_bench.ceilings.measure_peaks", partial(measure_peaks, shapes=[(64, 64, 64)]))
    monkeypatch.setattr("ganport_bench.ceilings.measure_bandwidth", partial(measure_bandwidth, cache_bytes=2**22))
    monkeypatch.setattr("ganport_bench.peaks.CALL_BYTES", 2**20)
    monkeypatch.setattr("ganport_bench.speed.measure_overhead", partial(measure_overhead, rounds=2))
    monkeypatch.setattr("ganport_bench.speed.baselines_of", some)
    monkeypatch.setattr("ganport_bench.comparison.PAUSE_SECONDS", 0.0)
    for module in ("pytorch", "onnxruntime", "openvino"):
        monkeypatch.setattr(f"ganport_bench.baselines.{module}.thread_choices", lambda: (1,))
    monkeypatch.setattr("ganport_runtime.tuning.tuner.TURN_SECONDS", 0.001)
    monkeypatch.setattr("ganport_runtime.tuning.timing.MOST_ROUNDS", 2)
