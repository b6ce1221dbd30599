"""One whole run on a tiny network: its document, and what people read of it."""

import json
import math
import os
from dataclasses import replace
from typing import Any

import pytest
import torch
from ganport_bench.document import all_tables, remarks
from ganport_bench.page import page
from ganport_bench.run import BenchOptions, run
from ganport_bench.tables import to_terminal
from rich.console import Console

from tests.support.tiny_run import QUICK_BASELINES, QUICKEST, make_tiny_bundle, make_tiny_run, measure_quickly

pytestmark = pytest.mark.slow
EFFORT = replace(
    QUICKEST, levels=(1, 4), window_seconds=0.1, most_windows=4, fractions=(0.3,), rate_seconds=0.3, samples=20,
    most_rate_seconds=0.5, lead_seconds=0.1, beyond=1,
)  # fmt: skip

ROW = {
    "system", "kind", "precision", "batch", "images_per_second", "low", "high", "rounds", "is_wide", "latency_ms",
    "samples", "transfers", "psnr_db", "difference", "correct", "share_of_ceiling", "settings", "settings_tried",
    "note",
}  # fmt: skip
TARGETS = [
    "batch_64_over_fp32_peer", "batch_64_over_any_peer", "batch_1_over_any_peer", "batch_1_exact", "batch_8_exact",
    "batch_64_exact", "batch_64_share_of_peak",
]  # fmt: skip


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Speed, nodes and a server under load, of a run and its bundle; as it is read back from a file."""
    folder = tmp_path_factory.mktemp("whole")
    trained = make_tiny_run(folder)
    bundle = make_tiny_bundle(trained, folder)
    options = BenchOptions(trained, EFFORT, folder / "logs", bundle, parts=("speed", "nodes", "load"))
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        measure_quickly(patch)
        patch.setenv("GANPORT_CACHE", str(folder / "mine"))
        found = run(options, folder / "work", lambda _step: None)
        assert os.environ["GANPORT_CACHE"] == str(folder / "mine")
    torch.set_num_threads(threads)
    assert not (folder / "mine").exists(), "the user's own tuning records are left alone"
    document: dict[str, Any] = json.loads(json.dumps(found.document, allow_nan=False))
    return document


@pytest.fixture(scope="module")
def people(document: dict[str, Any]) -> str:
    """What people read."""
    console = Console(width=220)
    with console.capture() as capture:
        for table in all_tables(document):
            console.print(to_terminal(table))
    return capture.get() + "\n".join(remarks(document))


def test_it_says_what_was_measured_where_and_how_long_it_took(document: dict[str, Any]) -> None:
    assert (document["format"], document["is_quick"], document["skipped"]) == (2, True, {})
    assert set(document["model"]) == {"run", "bundle", "bundle_digest", "is_trained", "reference", "tuned"}
    assert document["model"]["reference"] == "the network in float64, by PyTorch"
    assert document["machine"]["load_average_1min_after"] >= 0
    assert list(document["took_seconds"]) == ["tuning", "speed", "nodes", "load"]
    assert not {"start", "scenarios"} & set(document), "parts that were not run are absent"


def test_it_has_a_row_for_everyone_at_every_batch_size(document: dict[str, Any]) -> None:
    rows = document["rows"]
    assert all(set(row) == ROW for row in rows)
    for batch in (1, 8, 64):
        names = {row["system"] for row in rows if row["batch"] == batch}
        assert names >= {*QUICK_BASELINES, "generator-phase-fp32, onnxruntime", "generator-phase-int8-s8s8, openvino"}
        assert names >= {"ganport as opened", "ganport as opened, fp32"}
    for row in rows:
        assert row["low"] <= row["images_per_second"] <= row["high"]
        assert 0 < row["latency_ms"]["p50"] <= row["latency_ms"]["p90"] <= row["latency_ms"]["p99"]
        assert row["batch"] / row["images_per_second"] < 1
        assert row["rounds"] == 3
        assert row["transfers"].startswith("none")
    exact = [row for row in rows if row["precision"] == "fp32"]
    assert exact
    assert all(row["correct"] and row["psnr_db"] > 70 for row in exact)


def test_the_summary_names_rows_and_the_ratios_are_those_of_the_rows(document: dict[str, Any]) -> None:
    assert set(document["summary"]) == {"1", "8", "64"}
    summary = document["summary"]["64"]
    rows = {row["system"]: row for row in document["rows"] if row["batch"] == 64}
    plan, peer = (rows[summary[key]] for key in ("best_exact_plan", "best_peer_fp32"))
    assert (plan["kind"], plan["precision"], peer["kind"], peer["precision"]) == ("plan", "fp32", "peer", "fp32")
    ratio = summary["best_exact_plan_over_best_peer_fp32"]["value"]
    assert math.isclose(ratio, plan["images_per_second"] / peer["images_per_second"], rel_tol=0.5)


def test_every_target_is_told_to_people_and_machines(document: dict[str, Any], people: str) -> None:
    assert [target["name"] for target in document["targets"]] == TARGETS
    for target in document["targets"]:
        assert target["title"][:20] in people
    assert "ganport as opened: generator-phase-" in people, "what users get is named"


def test_who_cannot_run_is_listed_with_why(document: dict[str, Any], people: str) -> None:
    missing = document["missing"]["8"]
    assert all(missing[f"generator-phase-{kind}, tensorrt, cuda"] for kind in ("fp32", "int8-s8s8"))
    assert "tensorrt, cuda" in people


def test_the_ceilings_say_how_they_were_measured(document: dict[str, Any]) -> None:
    ceilings = document["ceilings"]
    assert ceilings["multiply_adds_an_image"] == 5 * 8 * 16 + 16 * 8 * 4 * 16 + 64 * 4 * 1 * 16
    assert ceilings["peaks"]["int8"]["how"].endswith("64x64x64")
    assert ceilings["bandwidth"]["bytes_per_second"]["value"] > 0
    row = next(row for row in document["rows"] if (row["precision"], row["batch"]) == ("int8", 8))
    assert row["share_of_ceiling"] == pytest.approx(
        row["images_per_second"] / ceilings["floors"]["int8"]["8"]["images_per_second"]
    )


def test_nodes_are_those_of_the_fastest_plan_of_each_engine(document: dict[str, Any], people: str) -> None:
    assert {(one["engine"], one["batch"]) for one in document["nodes"]} == {
        (engine, batch) for engine in ("openvino", "onnxruntime") for batch in (1, 8, 64)
    }
    assert "goes to nodes without products" in people


def test_every_system_and_every_reason_is_on_the_page(document: dict[str, Any]) -> None:
    text = page(document, {})
    assert all(row["system"] in text for row in document["rows"])
    assert "Not measured: it was not asked for." in text, "start and scenarios"
