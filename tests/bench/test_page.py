"""A report is made of a document alone: a page that needs nothing else, figures, and the document itself."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from ganport_bench.errors import BenchError
from ganport_bench.report import check_folder, write_report

Document = dict[str, Any]
BAD = "<script>alert(1)</script>"


def row(system: str, kind: str, batch: int, rate: float, **others: Any) -> dict[str, Any]:
    latency = {f"p{percent}": 1e3 * batch / rate for percent in (50, 90, 99)}
    facts = {"system": system, "kind": kind, "precision": "fp32", "batch": batch, "images_per_second": rate}
    return {
        **facts, "low": 0.9 * rate, "high": 1.1 * rate, "rounds": 5, "is_wide": False, "latency_ms": latency,
        "samples": 100, "transfers": "none", "psnr_db": 60.0, "difference": None, "correct": True,
        "share_of_ceiling": 0.5, "settings": {"threads": "2"}, "settings_tried": 2, "note": "", **others,
    }  # fmt: skip


def document() -> Document:
    rows = [
        row("generator-fused-fp32, openvino", "plan", batch, 800.0 + batch) for batch in (1, 8)
    ] + [
        row("ONNX Runtime", "peer", 1, 500.0),
        row(BAD, "peer", 8, 900.0, correct=False, psnr_db=12.0, note="grey mush"),
    ]  # fmt: skip
    machine = {
        "cpu": "a processor", "cores": 2, "load_average_1min": 0.1, "load_average_1min_after": 0.2, "system": "Linux",
        "python": "3.11", "packages": {"numpy": "2.0"}, "memory_bytes": 2**34, "governor": None,
        "clock_mhz": {"current": None, "max": None}, "gpus": [], "measured_at": "2026-11-28T12:00:00+00:00",
    }  # fmt: skip
    peak = {
        "precision": "fp32", "operations_per_second": {"value": 2e11, "low": 1e11, "high": 3e11}, "how": "somehow",
        "others": {}, "refused": {}, "images_per_second": 1000.0,
    }  # fmt: skip
    best = {
        "best_peer_fp32": "ONNX Runtime", "best_peer": "ONNX Runtime", "best_plan": None, "best_exact_plan": None,
        "best_plan_over_best_peer_fp32": None, "best_plan_over_best_peer": None,
        "best_exact_plan_over_best_peer_fp32": None,
    }  # fmt: skip
    return {
        "format": 2, "is_quick": True, "machine": machine,
        "model": {"run": "", "bundle": "some.ganport", "bundle_digest": "0", "is_trained": True, "reference": "it"},
        "ceilings": {"multiply_adds_an_image": 1000, "peaks": {"fp32": peak}},
        "rows": rows, "missing": {"1": {"torch.compile": "no compiler"}, "8": {}}, "overhead": [],
        "summary": {"1": best, "8": best}, "targets": [], "skipped": {"load": "no server here"}, "took_seconds": {},
    }  # fmt: skip


@pytest.fixture
def written(tmp_path: Path) -> Path:
    page = write_report(document(), tmp_path / "report")
    assert page == tmp_path / "report" / "index.html"
    return page


def test_the_page_needs_nothing_else(written: Path) -> None:
    text = written.read_text("utf-8")
    assert "<script" not in text
    assert not re.findall(r'(?:src|href)="https?://', text)
    assert "prefers-color-scheme: dark" in text


def test_every_system_is_there_and_what_is_wrong_or_missing_is_said(written: Path) -> None:
    text = written.read_text("utf-8")
    for wanted in ("ONNX Runtime", "&lt;script&gt;", "WRONG", "no compiler", "no server here", "a processor"):
        assert wanted in text


def test_figures_are_there_as_png_and_svg_and_the_document_as_it_was(written: Path) -> None:
    figures = written.parent / "figures"
    names = {path.stem for path in figures.glob("*.png")}
    assert {"throughput", "percentiles", "fidelity-against-speed", "share-of-ceiling"} <= names
    assert {path.stem for path in figures.glob("*.svg")} == names
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in figures.glob("*.png"))
    assert json.loads((written.parent / "results.json").read_text("utf-8")) == document()


def test_an_earlier_report_is_replaced_and_nothing_else_is(written: Path, tmp_path: Path) -> None:
    write_report(document(), written.parent)
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("mine")
    with pytest.raises(BenchError, match=r"holds thesis\.txt, which is of no report"):
        check_folder(other)
    with pytest.raises(BenchError, match=r"is a file"):
        check_folder(other / "thesis.txt")
    assert (other / "thesis.txt").read_text() == "mine"
