import json
import math
from pathlib import Path
from typing import Any

import pytest
from ganport_bench.errors import BenchError
from ganport_bench.peers.onnxruntime import OnnxRuntime
from ganport_bench.speed import __main__ as speed
from ganport_bench.speed.comparison import Comparison
from ganport_bench.speed.document import Results, to_json
from ganport_bench.speed.measure import subject_of
from ganport_bench.speed.report import report
from ganport_bench.speed.targets import targets_of
from ganport_runtime import Bundle
from rich.console import Console

from tests.bench.speed.conftest import QUICK_PEERS
from tests.bench.speed.fakes import measured, off_by

ROW = {
    "system",
    "kind",
    "precision",
    "batch",
    "images_per_second",
    "low",
    "high",
    "latency_ms",
    "psnr_db",
    "correct",
    "share_of_ceiling",
}


@pytest.fixture(scope="module")
def outcome() -> dict[str, Any]:
    """What the one whole run of this module printed."""
    return {}


@pytest.fixture
def printed(
    outcome: dict[str, Any],
    run: Path,
    bundle: Path,
    quickly: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> dict[str, Any]:
    if not outcome:
        monkeypatch.setenv("GANPORT_CACHE", str(tmp_path / "mine"))
        assert speed.main([str(run), "--bundle", str(bundle), "--json", "--profile", "--quick"]) == 0
        out, err = capsys.readouterr()
        outcome.update(document=json.loads(out), people=err, remembered=(tmp_path / "mine").exists())
    return outcome


def test_the_document_has_a_row_for_everyone_at_every_batch_size(printed: dict[str, Any]) -> None:
    document = printed["document"]
    assert {"machine", "model", "ceilings", "rows", "missing", "summary", "targets", "profiles"} <= set(document)
    rows = document["rows"]
    assert all(set(row) >= ROW for row in rows)
    for batch in (1, 8, 64):
        names = {row["system"] for row in rows if row["batch"] == batch}
        assert names >= {*QUICK_PEERS, "generator-phase-fp32, onnxruntime", "generator-phase-int8-s8s8, openvino"}
        assert names >= {"ganport as opened", "ganport as opened, fp32"}
    for row in rows:
        assert row["low"] <= row["images_per_second"] <= row["high"]
        assert 0 < row["latency_ms"]["p50"] <= row["latency_ms"]["p90"] <= row["latency_ms"]["p99"]
        assert row["batch"] / row["images_per_second"] < 1
    exact = [row for row in rows if row["precision"] == "fp32"]
    assert exact
    assert all(row["correct"] and row["psnr_db"] > 70 for row in exact)


def test_the_summary_names_rows_and_the_ratios_are_those_of_the_rows(printed: dict[str, Any]) -> None:
    document = printed["document"]
    assert set(document["summary"]) == {"1", "8", "64"}
    summary = document["summary"]["64"]
    rows = {row["system"]: row for row in document["rows"] if row["batch"] == 64}
    plan, peer = (rows[summary[key]] for key in ("best_exact_plan", "best_peer_fp32"))
    assert (plan["kind"], plan["precision"], peer["kind"], peer["precision"]) == ("plan", "fp32", "peer", "fp32")
    ratio = summary["best_exact_plan_over_best_peer_fp32"]["value"]
    assert math.isclose(ratio, plan["images_per_second"] / peer["images_per_second"], rel_tol=0.5)


def test_every_target_is_told_to_people_and_machines(printed: dict[str, Any]) -> None:
    names = [target["name"] for target in printed["document"]["targets"]]
    assert names == [
        "batch_64_over_fp32_peer",
        "batch_64_over_any_peer",
        "batch_1_over_any_peer",
        "batch_1_exact",
        "batch_8_exact",
        "batch_64_exact",
        "batch_64_share_of_peak",
    ]
    people = printed["people"]
    for target in printed["document"]["targets"]:
        assert target["title"][:20] in people
    assert "What was promised" in people
    assert "tuned" in people
    assert "tensorrt, cuda" in people, "who cannot run is listed"
    assert "ganport as opened: generator-phase-" in people, "what users get is named"


def test_the_ceilings_say_how_they_were_measured(printed: dict[str, Any]) -> None:
    ceilings = printed["document"]["ceilings"]
    assert ceilings["multiply_adds_an_image"] == 5 * 8 * 16 + 16 * 8 * 4 * 16 + 64 * 4 * 1 * 16
    assert ceilings["peaks"]["int8"]["how"].endswith("64x64x64")
    rows = printed["document"]["rows"]
    row = next(row for row in rows if row["precision"] == "int8")
    peak = ceilings["peaks"]["int8"]["images_per_second"]
    assert row["share_of_ceiling"] == pytest.approx(row["images_per_second"] / peak)


def test_a_profile_is_of_openvinos_best_plan_at_each_batch_size(printed: dict[str, Any]) -> None:
    profiles = printed["document"]["profiles"]
    assert [profile["batch"] for profile in profiles] == [1, 8, 64]
    assert all("openvino" in profile["plan"] and profile["nodes"] for profile in profiles)


def test_the_users_own_tuning_records_are_left_alone(printed: dict[str, Any]) -> None:
    assert not printed["remembered"]


def test_what_is_not_given_is_made(run: Path, tmp_path: Path) -> None:
    """The whole bundle, every form and precision that the export offers."""
    steps: list[str] = []
    subject = subject_of(run, None, plans=True, folder=tmp_path, on_step=steps.append)
    assert subject.bundle is not None
    ids = {variant.id for variant in Bundle.open(subject.bundle).manifest.variants}
    assert {"generator-deconv-fp32", "generator-phase-fp32", "generator-phase-int8-s8s8"} <= ids
    assert (subject.run, subject.is_trained) == (run, True)
    assert steps == [f"no bundle was given: exporting {run}"]


def test_peers_alone_need_no_bundle(
    run: Path, quickly: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ganport_bench.speed.measure.peers_of", lambda source: (OnnxRuntime(source),))
    assert speed.main([str(run), "--peers-only", "--quick", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {row["kind"] for row in document["rows"]} == {"peer"}
    assert document["targets"] == []


def test_a_bundle_without_its_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="without the run"):
        subject_of(None, tmp_path / "b.ganport", plans=True, folder=tmp_path, on_step=lambda _step: None)


def test_a_run_that_is_not_there_takes_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert speed.main([str(tmp_path / "nothing"), "--peers-only"]) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert line.startswith("ganport_bench.speed: ")
    assert "nothing" in line


def test_wrong_rows_and_missing_systems_are_shown_to_people() -> None:
    comparison = Comparison(
        64,
        [
            measured("fine", [0.1, 0.1]),
            measured("fast", [0.01, 0.01], make=off_by(9), wrong="PSNR mean 29.0 dB; fp32 must reach 55 dB"),
        ],
        {"one": "no driver", "two": "no driver"},
    )
    model = {"run": "r", "bundle": "", "is_trained": True}
    results = Results({}, model, 10**6, {}, [comparison], targets_of([comparison], {}, 10**6))
    console = Console(width=200)
    with console.capture() as capture:
        console.print(report(results))
    text = capture.get()
    assert "WRONG" in text
    assert "fast: PSNR mean 29.0 dB; fp32 must reach 55 dB" in text
    assert "not measured: one and 1 more: no driver" in text
    assert "nothing to compare" in text
    rows = {row["system"]: row["correct"] for row in to_json(results)["rows"]}
    assert rows == {"fine": True, "fast": False}
