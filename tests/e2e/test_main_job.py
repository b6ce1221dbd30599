"""The main job through the command line: train, export, generate, measure, as `make demo` does it but for moments."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytestmark = pytest.mark.slow

SHORT = ("--steps", "4", "--tuning-seconds", "3")


def ganport(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ganport_cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def document(*words: str | Path) -> dict[str, Any]:
    done = ganport(*words, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("main") / "demo"
    return out, document("demo", "--out", out, *SHORT)


def test_demo_leaves_a_bundle_with_parity_and_a_grid(demo: tuple[Path, dict[str, Any]]) -> None:
    out, said = demo
    variants = {variant["id"]: variant for variant in said["variants"]}
    assert {f"generator-{form}-fp32" for form in ("deconv", "phase", "fused")} <= variants.keys()
    assert {"generator-phase-fp16", "generator-fused-int8-u8s8", "discriminator-conv-fp32"} <= variants.keys()
    for variant in variants.values():
        if variant["role"] == "generator":
            assert variant["fidelity"]["psnr_db_mean"] >= 35
            if variant["precision"] == "fp32":
                assert variant["parity"]["largest_difference"] <= 1
                assert variant["parity"]["psnr_db"] >= 55
    with Image.open(said["grid"]) as grid:
        assert grid.size == (8 * (32 + 2 * 3), 8 * (32 + 2 * 3))
    assert {row["system"] for row in said["throughput"]} == {"ganport", "PyTorch, eager"}
    assert {row["batch"] for row in said["throughput"]} == {1, 8, 64}
    assert set(said["tuning"]["buckets"]) == {"1", "2", "4", "8", "16", "32", "64"}
    assert document("info", out / "digits.ganport")["verified"] is True


def test_demo_again_trains_nothing_anew(demo: tuple[Path, dict[str, Any]]) -> None:
    out, said = demo
    metrics = (out / "run" / "metrics.jsonl").read_bytes()
    again = document("demo", "--out", out, *SHORT)
    assert (out / "run" / "metrics.jsonl").read_bytes() == metrics
    assert [variant["sha256"] for variant in again["variants"]] == [variant["sha256"] for variant in said["variants"]]


def test_images_of_the_bundle_are_those_of_its_sample_sheet(demo: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    out, _ = demo
    same = ("--count", "64", "--seed", "0", "--precision", "fp32")
    document("generate", out / "digits.ganport", *same, "--backend", "onnxruntime", "--out", tmp_path / "grid.png")
    with Image.open(tmp_path / "grid.png") as grid, Image.open(out / "digits.ganport" / "samples.png") as samples:
        assert grid.tobytes() == samples.tobytes()


def test_engines_of_the_demo_s_generator_are_built_without_a_gpu(
    demo: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx, which builds engines, has no wheel for this platform")
    out, bundle = demo[0], tmp_path / "engines.ganport"
    said = document("export", out / "run", "--out", bundle, "--forms", "phase", "--engines", "tensorrt-rtx")
    engines = {engine["precision"]: engine for engine in said["engines"]}
    assert engines.keys() == {"fp32", "fp16", "int8"}
    for precision, engine in engines.items():
        assert engine["library"] == "tensorrt_rtx"
        assert engine["verified_by"] == "engine"
        assert {kind for kind in engine["layers"] if kind.startswith("convolution")} == {f"convolution/{precision}"}
        assert len((bundle / engine["file"]).read_bytes()) > 10_000
    assert document("info", bundle)["verified"] is True


def test_demo_dry_run_writes_nothing(tmp_path: Path) -> None:
    assert document("demo", "--out", tmp_path / "demo", "--dry-run")["data"] == "digits"
    assert not list(tmp_path.iterdir())
