import json
from pathlib import Path
from typing import Any

import pytest
from ganport_bench.comparison import Comparison
from ganport_bench.errors import BenchError
from ganport_bench.null_backend import Overhead
from ganport_bench.pages import __main__ as pages
from ganport_bench.pages.sections import replace_sections
from ganport_bench.speed import Speed
from ganport_bench.timing import Estimate

from tests.bench.fake_systems import ceilings, measured, off_by

PAGE = """# Title

Before.

<!-- bench: machine -->
<!-- /bench -->

<!-- bench: targets -->
old
<!-- /bench -->

Between, <!-- bench: not on a line of its own -->.

<!-- bench: speed -->
<!-- /bench -->

<!-- bench: serving promises -->
kept
<!-- /bench -->

<!-- bench: serving overload -->
<!-- /bench -->

<!-- bench: ceilings -->
<!-- /bench -->

<!-- bench: figures -->

<!-- /bench -->
After.
"""
SERVING: dict[str, Any] = {
    "targets": [
        {
            "title": "64 clients: share",
            "unit": "%",
            "wanted": 85.0,
            "is_floor": True,
            "is_void": False,
            "note": "",
            "measured": 76.5,
            "low": 73.8,
            "high": 85.6,
            "reached": False,
        },
        {
            "title": "p99 of refusals",
            "unit": "ms",
            "wanted": 20.0,
            "is_floor": False,
            "is_void": False,
            "note": "",
            "measured": 1406.02,
            "low": 1406.02,
            "high": 1406.02,
            "reached": True,
        },
    ],
    "rows": [
        {
            "scenario": "overload",
            "asked": "fp32",
            "offered_per_second": 2700.0,
            "images_per_second": 850.2,
            "peak": 900.0,
            "answers": {"200": 25000, "429": 50000, "503": 7},
            "lost": 0,
            "accepted_ms": {"p99": 1300.0},
            "refused_ms": None,
        }
    ],
    "is_quick": False,
    "machine": {
        "measured_at": "2026-11-28T20:00:00+00:00",
        "cpu": "CPU",
        "cores": 2,
        "load_average_1min": 0.1,
        "load_average_1min_after": 2.0,
    },
}


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "benchmarks.md"
    path.write_text(PAGE)
    return path


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    those = [
        measured("eager", [0.1, 0.1], batch=64),
        measured("plan|x", [0.02, 0.02], batch=64, kind="plan", precision="int8", make=off_by(1)),
    ]
    comparison = Comparison(64, those, {"gone": "no driver", "away": "no driver"})
    of_machine = ceilings(int8=16e9)
    speed = Speed("it", "", of_machine, [comparison], [Overhead(64, Estimate(50.0, 49.0, 51.0))])
    machine = {"measured_at": "2026-11-28T20:00:00+00:00", "cpu": "CPU", "cores": 2, "system": "S", "python": "3.11"}
    machine |= {"packages": {"numpy": "2.4"}, "load_average_1min": 0.1, "load_average_1min_after": 2.0}
    facts = {"is_quick": True, "model": {"is_trained": False}, "took_seconds": {"speed": 9.0}, "skipped": {}}
    document = {"machine": machine, **facts, **speed.to_json()}
    path = tmp_path / "whole.json"
    path.write_text(json.dumps(document))
    return path


def test_tables_are_written_anew_and_everything_else_stays(page: Path, whole: Path) -> None:
    assert pages.main([str(page), "--whole", str(whole)]) == 0
    text = page.read_text()
    assert "| batch 64, 38 dB: over the best fp32 peer | 5.00x |  | 3x |" in text
    assert "| plan/x | plan | int8 | 3,200 | 48.1 | 40% |" in text
    assert "| int8 | 16 | 8,000 (arithmetic) | somehow |" in text.replace(
        "8,000 (arithmetic) | 8,000 (arithmetic) | 8,000", "8,000"
    )
    assert text.index("plan/x") < text.index("| eager"), "the fastest first"
    assert "A quick run, with few rounds. The generator was hardly trained" in text
    assert "old" not in text
    assert "kept" in text, "no document of it was given"
    for line in ("Before.", "Between, <!-- bench: not on a line of its own -->.", "After.", "<!-- bench: targets -->"):
        assert line in text


def test_a_second_time_changes_nothing(page: Path, whole: Path) -> None:
    pages.main([str(page), "--whole", str(whole)])
    once = page.read_text()
    pages.main([str(page), "--whole", str(whole)])
    assert page.read_text() == once


def test_what_was_missed_is_marked(page: Path, tmp_path: Path) -> None:
    document = tmp_path / "serving.json"
    document.write_text(json.dumps(SERVING))
    assert pages.refresh(page, {"serving": document}, None) == ["serving promises", "serving overload"]
    line = "| 64 clients: share | 76.50 % **missed** | 73.80 to 85.60 | at least 85 % |"
    assert line in page.read_text()
    assert "| fp32 | 2,700 | 850 | 900 | 25,000 | 50,007 | 0 | 1,300 |  |" in page.read_text()
    assert "| p99 of refusals | 1,406 ms |  | at most 20 ms |" in page.read_text(), "one figure has no interval"


def test_figures_are_copied_beside_the_page_and_shown(page: Path, tmp_path: Path) -> None:
    (tmp_path / "report" / "figures").mkdir(parents=True)
    (tmp_path / "report" / "figures" / "share_of_ceiling.png").write_bytes(b"a picture")
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "older.png").write_bytes(b"of an earlier report")
    assert pages.refresh(page, {}, tmp_path / "report") == ["figures"]
    assert "![share of ceiling](benchmarks/share_of_ceiling.png)" in page.read_text()
    assert [path.name for path in (tmp_path / "benchmarks").iterdir()] == ["share_of_ceiling.png"]


def test_a_report_without_figures_is_none(page: Path, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="holds no figures"):
        pages.refresh(page, {}, tmp_path / "nothing")


@pytest.mark.parametrize("text", ["{}", "[]", "no JSON", '{"rows": []}'])
def test_what_is_no_document_takes_one_line_and_leaves_the_page(
    text: str, page: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.json").write_text(text)
    assert pages.main([str(page), "--whole", str(tmp_path / "broken.json")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "broken.json is no whole document of this version" in line
    assert page.read_text() == PAGE


def test_a_page_that_is_not_there_takes_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pages.main([str(tmp_path / "absent.md")]) == 1
    assert "absent.md" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    ["<!-- bench: a -->\n", "<!-- bench: a -->\n<!-- bench: b -->\n<!-- /bench -->\n"],
)
def test_a_place_without_an_end_is_an_error(text: str) -> None:
    with pytest.raises(BenchError, match="the place for 'a' has no end"):
        replace_sections(text, {"a": "text"})
