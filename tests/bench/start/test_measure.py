import io
import json
from pathlib import Path

import pytest
from ganport_bench.own_cache import own_cache
from ganport_bench.start import Effort, Start, measure_start, tables
from ganport_bench.start.way import Way
from ganport_bench.start.ways import ways_of
from ganport_runtime import Bundle, BundleError
from ganport_runtime.buckets import BUCKETS
from rich.console import Console

from tests.support.records import ONNXRUNTIME, write_record

ONCE = Effort(imports=1, lives=1, builds=1, calls=1, tuning_seconds=0.2)


@pytest.fixture
def no_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganport_bench.start.engines.LIBRARIES", ())


def printed(start: Start) -> str:
    console = Console(width=240, record=True, file=io.StringIO())
    for table in tables(start):
        console.print(table)
    return console.export_text()


def test_a_bundle_is_measured_from_import_to_its_top_bucket(
    bundle: Path, light_imports: None, no_engines: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganport_runtime.backends.cuda.refusal", lambda: "no driver here")
    steps: list[str] = []
    start = measure_start(bundle, ONCE, steps.append)
    document = json.loads(json.dumps(start.to_json(), allow_nan=False))
    assert steps[0] == "imports in fresh processes"
    kinds = {way["name"]: way["kind"] for way in document["ways"]}
    assert kinds["ganport"] == "ganport"
    assert kinds["bare ONNX Runtime"] == kinds["bare OpenVINO"] == "bare"
    assert {way["name"]: way["peer"] for way in document["ways"]}["ganport, openvino"] == "bare OpenVINO"
    assert {one["part"] for one in document["quantities"]} == {
        "import", "start", "warm-up", "memory", "bundle", "installed",
    }  # fmt: skip
    warm = [one["batch"] for one in document["quantities"] if (one["system"], one["what"]) == ("ganport", "first call")]
    assert tuple(warm) == BUCKETS
    for one in document["quantities"]:
        assert one["low"] <= one["value"] <= one["high"]
    probe = "ganport", "probe: the first opening over later ones"
    assert probe in {(one["system"], one["what"]) for one in document["quantities"]}
    assert document["missing"]["ganport, tensorrt on cuda"] == "no driver here"
    text = printed(start)
    assert "From a fresh process to the first image" in text
    assert "not measured: ganport, tensorrt on cuda: no driver here" in text
    assert "warm page cache" in text


def names(ways: tuple[Way, ...]) -> list[str]:
    return [way.name for way in ways]


def test_a_record_of_this_machine_is_used_and_no_tuning_done(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganport_bench.start.record.tune", lambda *_, **__: pytest.fail("tuned again"))
    with own_cache(tmp_path / "users"):
        write_record(bundle, ONNXRUNTIME)
        before = sorted((tmp_path / "users").rglob("*"))
        ways = ways_of(Bundle.open(bundle), tmp_path / "caches", 1.0, lambda *_: None)
        assert sorted((tmp_path / "users").rglob("*")) == before
    tuned = next(way for way in ways if way.name == "ganport, tuned")
    assert tuned.runs == ("generator-phase-fp32 by onnxruntime, CPUExecutionProvider, threads 1",)
    assert tuned.peer == ""


def test_a_record_of_another_machine_is_not(bundle: Path, tmp_path: Path) -> None:
    with own_cache(tmp_path / "users"):
        write_record(bundle, ONNXRUNTIME, engines={"onnxruntime": "0.1"})
        ways = ways_of(Bundle.open(bundle), tmp_path / "caches", 0.2, lambda *_: None)
    assert "ganport, tuned" in names(ways)


def test_a_way_is_measured_once_and_one_that_there_is_not_is_named(bundle: Path, tmp_path: Path) -> None:
    missing: dict[str, str] = {}
    with own_cache(tmp_path / "users"):
        ways = ways_of(Bundle.open(bundle), tmp_path / "caches", 0.2, missing.__setitem__)
    assert names(ways)[:2] == ["ganport", "ganport, openvino"]
    assert "ganport, tensorrt on cuda" in missing
    assert "ganport, onnxruntime" not in names(ways)


def test_what_is_no_bundle_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="is missing"):
        measure_start(tmp_path / "none.ganport", ONCE, lambda _step: None)
