"""The script that writes docs/benchmarks.md anew."""

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import docs_pages
import pytest
from ganport_bench.errors import BenchError
from ganport_bench.tables import Table

from tests.bench.test_page import document

PAGE = """# Title

Before.

<!-- bench: machine -->
<!-- /bench -->

<!-- bench: speed, Batch 8 -->
old
<!-- /bench -->

Between, <!-- bench: not on a line of its own -->.

<!-- bench: speed, Something that is not there -->
<!-- /bench -->

<!-- bench: servers -->
kept
<!-- /bench -->

<!-- bench: charts -->

<!-- /bench -->
After.
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "benchmarks.md"
    path.write_text(PAGE)
    return path


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    path = tmp_path / "whole.json"
    path.write_text(json.dumps(document()))
    return path


def test_tables_are_written_anew_and_everything_else_stays(page: Path, whole: Path) -> None:
    assert docs_pages.main([str(page), "--whole", str(whole)]) == 0
    text = page.read_text()
    assert "| **generator-fused-fp32, openvino** | fp32 | 808 |" in text
    assert "Quick: few rounds" in text
    assert "old" not in text
    assert "Not measured." in text, "a table that this document has not"
    assert "kept" in text, "no document of it was given"
    for line in ("Before.", "Between, <!-- bench: not on a line of its own -->.", "After.", "<!-- bench: machine -->"):
        assert line in text
    docs_pages.main([str(page), "--whole", str(whole)])
    assert page.read_text() == text, "a second time changes nothing"


def test_the_tables_of_a_script_stand_each_under_its_title(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers: Any = ModuleType("servers")
    servers.tables = lambda found: [Table("Clients", ("what",), [(found["who"],)]), Table("", note="Last.")]
    monkeypatch.setitem(sys.modules, "servers", servers)
    (tmp_path / "servers.json").write_text(json.dumps({"who": "Triton", "machine": document()["machine"]}))
    assert docs_pages.refresh(page, {"servers": tmp_path / "servers.json"}, None) == ["<!-- bench: servers -->"]
    assert "### Clients\n\n| what |\n| --- |\n| Triton |\n\nLast.\n\n### About these figures" in page.read_text()


def test_charts_are_copied_beside_the_page_and_shown(page: Path, tmp_path: Path) -> None:
    (tmp_path / "report" / "figures").mkdir(parents=True)
    (tmp_path / "report" / "figures" / "share-of-ceiling.png").write_bytes(b"a picture")
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "older.png").write_bytes(b"of an earlier report")
    assert docs_pages.refresh(page, {}, tmp_path / "report") == ["<!-- bench: charts -->"]
    assert "![share of ceiling](benchmarks/share-of-ceiling.png)" in page.read_text()
    assert [path.name for path in (tmp_path / "benchmarks").iterdir()] == ["share-of-ceiling.png"]
    with pytest.raises(BenchError, match="holds no charts"):
        docs_pages.refresh(page, {}, tmp_path / "nothing")


@pytest.mark.parametrize("text", ["{}", "[]", "no JSON", '{"rows": []}'])
def test_what_is_no_document_takes_one_line_and_leaves_the_page(
    text: str, page: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.json").write_text(text)
    assert docs_pages.main([str(page), "--whole", str(tmp_path / "broken.json")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "broken.json is no document of this version" in line
    assert page.read_text() == PAGE


def test_a_page_that_is_not_there_takes_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert docs_pages.main([str(tmp_path / "absent.md")]) == 1
    assert "absent.md" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    ["<!-- bench: machine -->\n", "<!-- bench: machine -->\n<!-- bench: load -->\n<!-- /bench -->\n"],
)
def test_a_place_without_an_end_is_an_error(text: str) -> None:
    with pytest.raises(BenchError, match="bench: machine --> has no end"):
        docs_pages.replace_places(text, {"machine": []})
