import json
from pathlib import Path

import pytest
from ganport_bench.errors import BenchError
from ganport_bench.start.engines import build_in_turns, engine_quantities, loading_ways
from ganport_bench.start.fresh import live
from ganport_bench.start.gpu_memory import GpuMemory, watching_gpus
from ganport_bench.start.lives import live_in_turns
from ganport_runtime import Bundle
from ganport_runtime.backends import cuda

pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx, which builds engines, has no wheel for this platform")

FP32 = "generator-phase-fp32 by tensorrt-rtx"
ASYMMETRIC = "generator-phase-int8-u8s8 by tensorrt-rtx"


def test_engines_are_built_and_one_that_cannot_be_is_named(
    typed_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganport_bench.start.engines.LIBRARIES", ("tensorrt-rtx", "no-such-library"))
    monkeypatch.setattr("ganport_runtime.backends.cuda.refusal", lambda: "no driver here")
    missing: dict[str, str] = {}
    built = build_in_turns(Bundle.open(typed_bundle), tmp_path / "engines", 1, missing.__setitem__)
    build, size = engine_quantities(built)
    assert (build.system, build.what, build.unit, build.repetitions) == (FP32, "build", "ms", 1)
    assert (size.what, size.unit, size.estimate.value) == ("size", "bytes", (built[0].folder / "engine").stat().st_size)
    assert "symmetric int8" in missing.pop(f"engine of {ASYMMETRIC}")
    assert "no-such-library" in missing.pop("engines by no-such-library")
    assert not missing

    assert list(loading_ways(built, 8, missing.__setitem__)) == []
    assert missing == {f"loading the engine of {FP32}": "no driver here"}


def test_a_bundle_without_the_form_that_engines_are_built_of_is_named(bundle: Path, tmp_path: Path) -> None:
    document = json.loads((bundle / "manifest.json").read_text())
    document["variants"] = [one for one in document["variants"] if one["form"] == "deconv"]
    (bundle / "manifest.json").write_text(json.dumps(document))
    missing: dict[str, str] = {}
    assert build_in_turns(Bundle.open(bundle), tmp_path, 1, missing.__setitem__) == ()
    assert missing["engines by tensorrt-rtx"] == "the bundle has no graph of the form phase; export it with that form"


@pytest.mark.skipif(cuda.refusal() is None, reason="here is a GPU")
def test_without_a_gpu_loading_an_engine_is_refused_by_the_runtime(typed_bundle: Path, tmp_path: Path) -> None:
    (built,) = build_in_turns(Bundle.open(typed_bundle), tmp_path / "engines", 1, lambda *_: None)
    with pytest.raises(BenchError, match=r"load .* fails in a fresh interpreter: .*PlanError: .*no NVIDIA driver"):
        live("load", "1,2", "2", str(built.folder), "8")


@pytest.mark.gpu
@pytest.mark.skipif(cuda.refusal() is not None, reason=str(cuda.refusal()))
def test_on_a_gpu_engines_are_loaded_and_memory_of_it_is_told(typed_bundle: Path, tmp_path: Path) -> None:
    missing: dict[str, str] = {}
    built = build_in_turns(Bundle.open(typed_bundle), tmp_path / "engines", 1, missing.__setitem__)
    ways = list(loading_ways(built, 8, missing.__setitem__))
    if not ways:
        pytest.skip(missing[f"loading the engine of {FP32}"])
    with watching_gpus() as gpus:
        assert isinstance(gpus, GpuMemory)
        lived = live_in_turns(ways, 1, 2, gpus, missing.__setitem__)
    (lives,) = lived.usual.values()
    (step,) = lives.steps("open")
    assert step.gpu
