"""A report is made of a document alone: a page that needs nothing else, charts, and the document itself."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from ganport_bench.errors import BenchError
from ganport_bench.page import check_folder, write_report

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


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page") / "report"
    page = write_report(document(), folder)
    assert page == folder / "index.html"
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


def test_charts_are_there_as_png_and_svg_and_the_document_as_it_was(written: Path) -> None:
    figures = written.parent / "figures"
    names = {path.stem for path in figures.glob("*.png")}
    assert {"throughput", "percentiles", "fidelity-against-speed", "share-of-ceiling"} <= names
    assert {path.stem for path in figures.glob("*.svg")} == names
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in figures.glob("*.png"))
    assert json.loads((written.parent / "results.json").read_text("utf-8")) == document()


def test_an_earlier_report_is_replaced_and_nothing_else_is(tmp_path: Path) -> None:
    for title in ("first.ganport", "second.ganport"):
        page = write_report({**small(), "model": {"bundle": title}}, tmp_path / "report")
    assert "second.ganport" in page.read_text("utf-8")
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("mine")
    with pytest.raises(BenchError, match=r"holds thesis\.txt, which is of no report"):
        check_folder(other)
    with pytest.raises(BenchError, match=r"is a file"):
        check_folder(other / "thesis.txt")
    assert (other / "thesis.txt").read_text() == "mine"


def small(**parts: Any) -> Document:
    machine = {"cpu": "a processor", "cores": 2, "system": "Linux", "packages": {"numpy": "2.0"}}
    return {"format": 2, "machine": machine, "model": {"run": None, "bundle": "some.ganport"}, **parts}


def load() -> dict[str, Any]:
    """Of a server: one rate that was held, one that was not, one that is void, and a wrong one."""
    answers = {"answered_per_second": 99.0, "latency_ms": {"p50": 2.0, "p90": 3.0}, "refused": 0, "correct": True}
    rate = answers | {"arrivals": "poisson", "share_of_capacity": 0.5, "in_time": 1.0, "void": False, "note": "fine"}
    rate |= {"late_ms": {"p50": 0.0, "p99": 0.1, "max": 0.2}}
    knee = {"held_per_second": 100.0, "failed_per_second": 300.0, "note": ""}
    return {
        "target": "ganport serve x", "system": "ganport serve", "facts": {"plan": "p"}, "judged": "by bytes",
        "knee": {"definition": "some", "bound_ms": 9.0, "poisson": knee},
        "rates": [
            rate | {"offered_per_second": 100.0, "held": True}, rate | {"offered_per_second": 300.0, "held": False},
            rate | {"offered_per_second": 400.0, "held": False, "void": True, "note": "VOID: late"},
        ],
        "concurrency": [
            answers | {"concurrency": 1, "is_stable": False, "checked": 9, "correct": False, "note": "3 x other bytes",
                       "windows": [99.0]}
        ],
        "something new": 1,
    }  # fmt: skip


def test_a_server_alone_is_shown_with_what_was_wrong_and_void(tmp_path: Path) -> None:
    page = write_report(small(load=load(), skipped={"speed": "no time"}), tmp_path / "report")
    text = page.read_text("utf-8")
    for wanted in ("WRONG: 3 x other bytes", "VOID: late", "100/s held", "Not measured: no time", "UNSTABLE"):
        assert wanted in text
    assert "it was not asked for" in text
    assert {path.name for path in (page.parent / "figures").iterdir()} == {
        "latency-under-load.png", "latency-under-load.svg"
    }  # fmt: skip


def test_figures_in_the_page_take_its_colors_and_as_files_their_own(tmp_path: Path) -> None:
    page = write_report(small(load=load()), tmp_path / "report")
    svg = page.read_text("utf-8").partition("<figure>")[2].partition("</figure>")[0]
    assert "fill: var(--ink)" in svg
    assert "#222222" not in svg
    assert "var(--" not in (page.parent / "figures" / "latency-under-load.svg").read_text("utf-8")
    ids = re.findall(r'\bid="([^"]+)"', page.read_text("utf-8"))
    assert len(ids) == len(set(ids))


def test_logs_that_lie_there_stay_with_the_scenarios_that_they_are_of(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    (folder / "loadgen").mkdir(parents=True)
    (folder / "loadgen" / "log.txt").write_text("said")
    check_folder(folder)
    write_report(small(skipped={"scenarios": "it failed"}), folder)
    assert (folder / "loadgen" / "log.txt").read_text() == "said"
    write_report(small(), folder)
    assert {path.name for path in folder.iterdir()} == {"index.html", "figures", "results.json"}
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_report_that_cannot_take_its_place_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "report"
    write_report(small(), folder)
    (folder / "loadgen").mkdir()
    (folder / "loadgen" / "log.txt").write_text("said")
    before = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    real = os.rename

    def refuse(source: Any, target: Any, **others: Any) -> None:
        if Path(target) == folder and "partial" in str(source):
            raise OSError(16, "Device or resource busy")
        real(source, target, **others)

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(BenchError, match=r"cannot be written \(Device or resource busy\); name another place"):
        write_report(small(skipped={"scenarios": "it failed"}), folder)
    assert {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_page_of_someone_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<title>my site</title>")
    with pytest.raises(BenchError, match="is of something else than ganport bench"):
        write_report(small(), tmp_path)
    assert (tmp_path / "index.html").read_text() == "<title>my site</title>"


def test_a_folder_that_cannot_be_replaced_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/")
    (tmp_path / "file").write_text("mine")
    for place, said in (("link", "is a mount point"), ("file/report", "file is a file; name another")):
        with pytest.raises(BenchError, match=said):
            check_folder(tmp_path / place)
